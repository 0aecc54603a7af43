"""Reading of a partner that can't be searched by time: what it has of each patient whose care is open with it."""

from collections.abc import Iterator

from fhir_bridge.connecting.client import PAGE, Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.models import Link, Partner
from records import errors
from records.json import Resource
from referrals.models import Loop


class Partly(errors.BatonError):
    """Of some patients nothing can be read now; of all others everything was given."""


def pages(partner: Partner, server: Server, type_: str) -> Iterator[list[Resource]]:
    """Every resource of a type, in all its pages, of each linked patient with an open loop, as it is now.

    A patient of whom it can't be read keeps no other from being read: raises `Partly` in the end, or what was answered
    for the first one where nothing can be read of anybody.
    """
    params = partner.can().of(type_).params
    by = "patient" if "patient" in params or "subject" not in params else "subject"
    patients, failures = list(_patients(partner)), list[errors.BatonError]()
    for remote_id in patients:
        yield from _of_one(server, type_, (by, remote_id if by == "patient" else f"Patient/{remote_id}"), failures)
    if failures and len(failures) == len(patients):
        raise failures[0]
    if failures:
        raise Partly(f"Patients of whom no {type_} can be read: {len(failures)}. {failures[0].message}")


def _of_one(
    server: Server, type_: str, whom: tuple[str, str], failures: list[errors.BatonError]
) -> Iterator[list[Resource]]:
    try:
        for _reply, page in server.search(type_, [whom, ("_count", str(PAGE))]):
            yield page
    except AWAY:
        raise
    except (errors.NotFound, errors.Gone):  # the patient, or the type: the reading by id tells of it
        return
    except errors.BatonError as error:
        failures.append(error)


def _patients(partner: Partner) -> Iterator[str]:
    with_open_loop = Loop.objects.filter(closed_at=None).values("patient_id")
    links = Link.objects.filter(partner=partner, type="Patient", remote_id__isnull=False, local_id__in=with_open_loop)
    yield from map(str, links.order_by("pk").values_list("remote_id", flat=True).iterator())
