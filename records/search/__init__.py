"""FHIR search over the declared columns (https://hl7.org/fhir/R4/search.html).

`search` gives one page of what an actor may see; `compile` gives the bare condition for a list of parameters.
"""

from records.search.compiler import compile  # noqa: A004 (the contract's name)
from records.search.results import Match, Page, search

__all__ = ["Match", "Page", "compile", "search"]
