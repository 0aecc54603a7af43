"""What the layout of every page shows: who works for whom, and the way around."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from records.models import Tenant

WAYS = (
    ("worklist", _("Worklist"), "list"),
    ("new-referral", _("New referral"), "referral"),
    ("new-follow-up", _("New follow-up"), "follow-up"),
    ("new-test-order", _("New test order"), "test-order"),
    ("patients", _("Patients"), "person"),
    ("adopt", _("To adopt"), "up"),
    ("people", _("People"), "person"),
    ("sync", _("Sync"), "sync"),
)


def layout(request: HttpRequest) -> dict[str, Any]:
    """Template context: ``ways`` (name, label, icon), ``organisation`` (display name) and ``languages``."""
    actor = getattr(request, "actor", None)
    match = getattr(request, "resolver_match", None)
    return {
        "languages": settings.LANGUAGES,
        "ways": WAYS if actor else (),
        "here": match.url_name if match else "",
        "actor": actor,
        "organisation": organisation_name(actor.organization) if actor else "",
    }


def organisation_name(organization: str) -> str:
    """The name that the tenant goes by; empty when it is none of ours."""
    return Tenant.objects.filter(pk=organization).values_list("name", flat=True).first() or ""
