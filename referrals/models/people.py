"""People, the pools that they work in, and `Owner`: everything that a handoff may belong to."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):  # type: ignore[django-manager-missing]  # of a library's model that points here
    """Somebody who signs in. ``practitioner`` is the id of the Practitioner that stands for them.

    ``wants_mail``: hears of overdue work by e-mail too, at ``email``; without an address only in the app.
    """

    practitioner = models.TextField(blank=True, default="")
    language = models.CharField(max_length=8, default="en")
    time_zone = models.CharField(max_length=64, blank=True, default="")
    wants_mail = models.BooleanField(default=True)


class Membership(models.Model):
    """A user's roles (words of `referrals.people.ROLES`) in one organisation, by the id of its root Organization."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organization = models.TextField()
    roles = ArrayField(models.CharField(max_length=32))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="membership_once")]


class Owner(models.Model):
    """Whoever a handoff may belong to; one row each, so that "exactly one owner" is one NOT NULL column.

    ``key`` is the id of the Practitioner (person), PractitionerRole (role), CareTeam (pool), Organization
    (organisation), or the partner's number. ``organization`` is the root Organization it belongs to. ``internal``
    says that its people sign in here, so that its list counts as a list. ``surrogate`` is the person who stands in for
    this one without being told, once half of the time of something is over.
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        ROLE = "role", _("role")
        POOL = "pool", _("pool")
        ORGANISATION = "organisation", _("organisation")
        PARTNER = "partner", _("partner")

    kind = models.CharField(max_length=16, choices=Kind)
    key = models.TextField()
    organization = models.TextField()
    name = models.TextField()
    internal = models.BooleanField()
    surrogate = models.ForeignKey("self", on_delete=models.PROTECT, related_name="stands_by_for", null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="owner_once")]

    def __str__(self) -> str:
        return self.name


class Pool(models.Model):
    """A team that shares a list; FHIR's CareTeam of the same id. ``supervisor`` hears of the last escalation."""

    id = models.TextField(primary_key=True, db_collation="C")
    organization = models.TextField()
    name = models.TextField()
    owner = models.OneToOneField(Owner, on_delete=models.PROTECT, related_name="pool")
    supervisor = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="supervised_pools", null=True)
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(is_default=True), name="one_default_pool"
            )
        ]


class PoolMember(models.Model):
    """Somebody who works on a pool's list."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="pools")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pool", "user"], name="pool_member_once")]


class Absence(models.Model):
    """A person away from ``starts_at`` to ``ends_at`` (UTC); the surrogate sees their list beside the own one."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="absences")
    surrogate = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="stands_in_for", null=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["ends_at"], name="absence_by_end")]
        constraints = [
            models.CheckConstraint(
                name="absence_ends_after_it_starts", condition=models.Q(ends_at__gt=models.F("starts_at"))
            ),
            models.CheckConstraint(
                name="absence_of_one_instead_of_another", condition=~models.Q(surrogate=models.F("owner"))
            ),
        ]
