"""A small walker for element paths: ``code``, ``context.related``, ``telecom[system=phone].value``.

A step goes through lists; ``[name=value]`` keeps the objects whose element equals the value, ``[name$=value]`` those
where it ends so. This is all of FHIRPath that our search parameters need, and it never raises on odd content.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One element name, with the filter that follows it."""

    name: str
    key: str = ""
    value: str = ""
    is_suffix: bool = False

    def keeps(self, item: Any) -> bool:
        """Whether the filter lets this value pass."""
        if not self.key:
            return True
        found = item.get(self.key) if isinstance(item, dict) else None
        if not isinstance(found, str):
            return False
        return found.endswith(self.value) if self.is_suffix else found == self.value


@cache
def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path; dots inside a filter's value are kept."""
    parts: list[Step] = []
    rest = path
    while rest:
        name_end = min((rest.find(mark) for mark in ".[" if mark in rest), default=len(rest))
        name, rest = rest[:name_end], rest[name_end:]
        key = value = ""
        if rest.startswith("["):
            condition, _, rest = rest[1:].partition("]")
            key, _, value = condition.partition("=")
        parts.append(Step(name, key.removesuffix("$"), value, key.endswith("$")))
        rest = rest.removeprefix(".")
    return tuple(parts)


def walk(body: Any, path: str) -> list[Any]:
    """Every value at the path, in document order; nulls are left out."""
    found = [body]
    for step in steps(path):
        following: list[Any] = []
        for item in found:
            value = item.get(step.name) if isinstance(item, dict) else None
            following.extend(value if isinstance(value, list) else (value,))
        found = [item for item in following if item is not None and step.keeps(item)]
    return found
