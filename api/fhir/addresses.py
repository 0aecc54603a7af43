"""Where resources are found from outside."""

from django.conf import settings


def base() -> str:
    """The FHIR base of this installation, without a slash at the end."""
    return f"{settings.BATON_SERVED_URL}/fhir"


def of(type_name: str, resource_id: str) -> str:
    """The address of a resource."""
    return f"{base()}/{type_name}/{resource_id}"


def of_version(type_name: str, resource_id: str, version: int) -> str:
    """The address of one version of it."""
    return f"{of(type_name, resource_id)}/_history/{version}"
