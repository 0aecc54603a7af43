"""Reading of a partner that can't be searched by time: what it has of each patient whose care is open with it."""

from collections.abc import Iterator

from fhir_bridge.connecting.client import PAGE, Server
from fhir_bridge.models import Link, Partner
from records import errors
from records.json import Resource
from referrals.models import Loop


def pages(partner: Partner, server: Server, type_: str) -> Iterator[list[Resource]]:
    """Every resource of a type, in all its pages, of each linked patient with an open loop, as it is now."""
    params = partner.can().of(type_).params
    by = "patient" if "patient" in params or "subject" not in params else "subject"
    for remote_id in list(_patients(partner)):
        value = remote_id if by == "patient" else f"Patient/{remote_id}"
        try:
            for _reply, page in server.search(type_, [(by, value), ("_count", str(PAGE))]):
                yield page
        except (errors.NotFound, errors.Gone):  # the patient, or the type: the reading by id tells of it
            continue


def _patients(partner: Partner) -> Iterator[str]:
    with_open_loop = Loop.objects.filter(closed_at=None).values("patient_id")
    links = Link.objects.filter(partner=partner, type="Patient", remote_id__isnull=False, local_id__in=with_open_loop)
    yield from map(str, links.order_by("pk").values_list("remote_id", flat=True).iterator())
