"""People, the lists that they work on, and what they may be in a loop.

Everything that a handoff may belong to is one `Owner` row, made at first use (`owners`). A person's list counts as a list
only when somebody signs in for that Practitioner here; everybody else's work stands on a pool's list (PATHWAYS §1).
`reading` derives whose lists somebody reads at an instant, `roles` what they may do, `absences` and `pools` are what
people set up for themselves and for each other.
"""

from referrals.people.absences import absences_of, announce, end, find_absence, set_surrogate
from referrals.people.choosing import (
    check_second,
    claimant,
    colleague,
    colleagues,
    named_performer,
    nobody_new,
    performing_owner,
    pool_of,
    reference_of,
    seconds,
    service_of,
)
from referrals.people.owners import human_name, key_of, owner_for, owner_of_reference, signs_in, type_of
from referrals.people.pools import (
    care_team,
    change_pool,
    colleague_named,
    create_pool,
    default_pool,
    find_pool,
    members_of,
)
from referrals.people.reading import Lists, lists_at, lists_of
from referrals.people.roles import (
    MANAGING,
    OVERSEEING,
    PERFORMED,
    ROLES,
    WORKING,
    Standing,
    actor_as,
    actor_for,
    may_manage,
    roles_in,
    standing_in,
)

__all__ = [
    "MANAGING",
    "OVERSEEING",
    "PERFORMED",
    "ROLES",
    "WORKING",
    "Lists",
    "Standing",
    "absences_of",
    "actor_as",
    "actor_for",
    "announce",
    "care_team",
    "change_pool",
    "check_second",
    "claimant",
    "colleague",
    "colleague_named",
    "colleagues",
    "create_pool",
    "default_pool",
    "end",
    "find_absence",
    "find_pool",
    "human_name",
    "key_of",
    "lists_at",
    "lists_of",
    "may_manage",
    "members_of",
    "named_performer",
    "nobody_new",
    "owner_for",
    "owner_of_reference",
    "performing_owner",
    "pool_of",
    "reference_of",
    "roles_in",
    "seconds",
    "service_of",
    "set_surrogate",
    "signs_in",
    "standing_in",
    "type_of",
]
