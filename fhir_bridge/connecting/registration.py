"""What ties a partner to this house and to its server: who mends, whose EHR it is, whether it is a directory, its address.

The address is the one that credentials are sent to. Another address is another server until somebody says that it is
the same one, moved (``is_moved``): its ids would be taken for those that our links name. A secret that the old
origin was given is not carried to a new one.
"""

from collections.abc import Callable, Mapping

from django.db.models import Q
from django.utils.translation import gettext as _

from fhir_bridge.connecting import wire
from fhir_bridge.connecting.addresses import base_of
from fhir_bridge.models import Inbox, Link, Partner, Reconciliation, Subscription, Watermark
from records import access, store
from records.errors import Conflict, Incorrect, NotFound
from records.models import Tenant
from referrals.models import Owner
from referrals.people import default_pool
from referrals.upheavals import silence

ADDRESS = "base-url"
FIELDS: Mapping[str, str] = {
    "steward-pool": "steward_pool_id",
    "tenant": "tenant",
    "directory": "is_directory",
    ADDRESS: "base_url",
}
NAMES = tuple(FIELDS)
ANSWERS: Mapping[str, bool] = {"yes": True, "no": False}
UNSETTLED = (Link.State.INFLIGHT, Link.State.UNKNOWN)


def put(row: Partner, told: Mapping[str, str], *, is_moved: bool = False) -> list[str]:
    """Put what is told into the row, which the caller saves and has locked; give the names of what is another now.

    Raise `Incorrect` for what can't be, `NotFound` for who isn't here, `Conflict` for what can't be now.
    """
    if is_moved and ADDRESS not in told:
        raise Incorrect(_("Say with --base-url where it has moved to."))
    changed = []
    for name, text in told.items():
        was = getattr(row, FIELDS[name])
        _SETTERS[name](row, text)
        if getattr(row, FIELDS[name]) != was:
            changed.append(name)
    if ADDRESS in changed:
        _readdress(row, is_moved=is_moved)
    return changed


def check_organization(organization: str) -> None:
    """Raise `NotFound` where there is no such Organization."""
    try:
        store.read("Organization", organization)
    except NotFound as error:
        raise NotFound(_("There is no Organization “%(id)s” here.") % {"id": organization}) from error


def check_free(url: str, but: Partner | None = None) -> None:
    """Raise `Conflict` where a partner has this address; ``but`` is not asked."""
    taken = Partner.objects.filter(base_url=url)
    if (taken.exclude(pk=but.pk) if but else taken).exists():
        raise Conflict(_("There is a partner with this address already."))


def steward(pool: str, tenant: str) -> Owner:
    """The owner of everything that has to be mended in the exchange, by a pool's id or a tenant's; else of the only tenant."""
    if pool:
        owner = Owner.objects.filter(kind=Owner.Kind.POOL, key=pool).first()
        if owner is None and not access.is_tenant(pool):
            raise NotFound(_("There is no pool “%(id)s” here.") % {"id": pool})
        return owner or default_pool(pool)
    if tenant:
        return default_pool(tenant)
    tenants = list(Tenant.objects.order_by("organization").values_list("organization", flat=True))
    if len(tenants) == 1:
        return default_pool(tenants[0])
    raise Incorrect(
        _("Say with --steward-pool who mends the exchange with this partner, by a pool's id or one of these: %(ids)s.")
        % {"ids": ", ".join(tenants) or "–"}
    )


def _entrust(row: Partner, pool: str) -> None:
    """What waits to be mended stays with who has it; another organisation would not even be shown what it is about."""
    chosen = steward(pool, row.tenant)
    if chosen.organization != row.steward_pool.organization and _is_being_mended(row):
        raise Conflict(
            _("Something of this exchange is still to be mended by another organisation: mend or discard it first.")
        )
    row.steward_pool = chosen
    silence.entrust(str(row.pk), chosen)


def _is_being_mended(row: Partner) -> bool:
    return any(model.objects.filter(partner=row).exclude(mend_loop="").exists() for model in (Link, Inbox))


def _belong(row: Partner, tenant: str) -> None:
    if tenant:
        check_organization(tenant)
        if not access.is_tenant(tenant):
            raise Incorrect(_("“%(id)s” is not an organisation that works here.") % {"id": tenant})
    row.tenant = tenant


def _list(row: Partner, answer: str) -> None:
    if answer not in ANSWERS:
        raise Incorrect(_("%(name)s is one of these: %(names)s.") % {"name": "directory", "names": ", ".join(ANSWERS)})
    row.is_directory = ANSWERS[answer]


def _address(row: Partner, url: str) -> None:
    normal = base_of(url)
    check_free(normal, row)
    row.base_url = normal


_SETTERS: Mapping[str, Callable[[Partner, str], None]] = {
    "steward-pool": _entrust,
    "tenant": _belong,
    "directory": _list,
    ADDRESS: _address,
}


def _readdress(row: Partner, *, is_moved: bool) -> None:
    """What was learnt of the old address is forgotten; who was told by it asks anew."""
    links = Link.objects.filter(partner=row)
    if links.filter(state=Link.State.INFLIGHT).exists():
        raise Conflict(_("Something is being sent there now: pause the partner, and try again in a few minutes."))
    if not is_moved and links.filter(Q(remote_id__isnull=False) | Q(state__in=UNSETTLED)).exists():
        raise Conflict(
            _(
                "Resources are linked with those at the old address. If it is the same server that has moved, with all its ids, say so with --moved; another server is another partner."
            )
        )
    row.abilities, row.abilities_seen_at, row.skew_seconds = {}, None, None
    row.failures, row.failing_since, row.not_before_at, row.probe_until, row.last_error = 0, None, None, None, ""
    if is_moved:
        Subscription.objects.filter(partner=row).update(state=Subscription.State.WANTED, checked_at=None)
        return
    for model in (Subscription, Watermark, Reconciliation):
        model._default_manager.filter(partner=row).delete()  # noqa: SLF001


def check_secret(row: Partner, old_url: str, secret: str | None) -> None:
    """Raise `Incorrect` where a kept secret would go to an origin that it was not given for."""
    if row.secret and secret is None and wire.origin(old_url) != wire.origin(row.base_url):
        raise Incorrect(_("The secret was given for the old address: give it again, or a new one, with --secret."))
