"""Words for what the rows hold as codes. What `referrals.pathways` already labels is taken from there."""

from referrals.models.loops import Loop, Priority
from referrals.people import ROLES as PEOPLES_ROLES
from referrals.vocabulary import Words

ROLES: dict[str, Words] = dict(PEOPLES_ROLES)
KINDS: dict[str, Words] = dict(Loop.Kind.choices)
PRIORITIES: dict[str, Words] = dict(Priority.choices)
PRIORITY_TONES = {"stat": "danger", "asap": "danger", "urgent": "warn"}
