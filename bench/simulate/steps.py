"""What happens in a simulation, one step at a time: plain data, so that a history can be played again without chance."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bench.oracle import Item

Token = tuple[bool, str, datetime, int, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does at ``at``: an order (``action`` "order"), an action on an item of the oracle's, or
    what happens to people themselves ("away", "leave") or is to be looked at ("look"), with no case.

    ``who`` is a person's or a partner's name. ``said`` is when it happened, where the message comes later. ``seen`` is
    how the item looked to whoever decided: a person lets it be when it has changed, a message (None) comes anyway.
    Who ``meddles`` tries only what isn't possible.
    """

    at: datetime
    case: str
    action: str
    who: str
    item: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    said: datetime | None = None
    attested: bool = False
    seen: Token | None = None
    meddles: bool = False

    def moved(self, region: str, other: str) -> "Step":
        """The same in another region, done by whoever does it whatever it looks like there."""

        def there(value: Any) -> Any:
            if isinstance(value, list):
                return [there(one) for one in value]
            is_text = isinstance(value, str)
            return value.replace(f"{region}-", f"{other}-").replace(f"{region}/", f"{other}/") if is_text else value

        told = {name: there(value) for name, value in self.data.items()}
        return replace(self, case=there(self.case), who=there(self.who), item=there(self.item), data=told, seen=None)

    def __str__(self) -> str:
        what = f"{self.action} {self.item or self.case}"
        late = f" (said {self.said:%Y-%m-%d %H:%M:%S})" if self.said else ""
        told = ", ".join(f"{name}={value}" for name, value in self.data.items())
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.who}: {what}{late}{' attested' * self.attested} {told}".rstrip()


def token(item: Item) -> Token:
    """How an item looks: another token means that something was done to it."""
    return item.is_open, item.stage, item.due, item.attempts, item.owner


def family(case: str) -> str:
    """The name of the first case of those that follow each other, in which all their steps are recorded.

    After ``~``: evidence that has left it and waits to be matched.
    """
    return case.partition("~")[0].rstrip("+")


def visit_of(item: Item) -> Item:
    """What an appointment is for, also where it is made with the patient."""
    return item.opener if item.kind == "contact-patient" and item.opener else item
