"""Who acts, and what they may see. The one place where access is decided."""

from dataclasses import dataclass, field
from typing import Literal

ActorKind = Literal["person", "client", "partner", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts now: a signed-in person, an API client, a partner's EHR, or Baton itself.

    ``organization`` is the root Organization that they work for at this moment (one membership at a time), ``roles``
    are words of `referrals.people.ROLES`, ``scopes`` are SMART v2 scopes (clients only), ``practitioner`` and
    ``patient`` are ids of the resources that stand for the person.
    """

    id: str
    kind: ActorKind
    display: str
    organization: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)
    practitioner: str = ""
    patient: str = ""


SYSTEM = Actor(id="system:baton", kind="system", display="Baton")
