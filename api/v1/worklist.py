"""Who has to do what by when: the worklist and the counts on its tiles."""

from dataclasses import dataclass
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api.v1 import filters, shapes
from api.v1.base import Endpoint, Needs
from api.v1.lists import WorklistFilterSet, WorklistPage, worklist_page
from records import clock
from referrals import worklists
from referrals.worklists import MOST_COUNTED


@dataclass(frozen=True, slots=True)
class Tile:
    """A list and how many rows it has; ``is_capped``: there are more than ``count``, which nobody counted."""

    name: str
    count: int
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles in their order."""

    tiles: tuple[Tile, ...]


class Worklist(Endpoint):
    """The lists that the caller's organisation works on."""

    needs: ClassVar[dict[str, Needs]] = {
        "list": (("Task", "s"), ("Patient", "s")),
        "tiles": (("Task", "s"),),
    }

    @extend_schema(
        parameters=filters.parameters(WorklistFilterSet),
        responses={200: shapes.of(WorklistPage), 400: shapes.Problem},
    )
    def list(self, request: Request) -> Response:
        """List what is open: who has to do what by when. `label` is computed from the clock, not stored."""
        return Response(worklist_page(self.actor, request, WorklistFilterSet))

    @extend_schema(responses={200: shapes.of(Tiles)})
    @action(detail=False)
    def tiles(self, _request: Request) -> Response:
        """Count each tile of the worklist, up to a thousand."""
        counted = worklists.tiles(self.actor, clock.now())
        return Response(
            Tiles(tuple(Tile(name, min(count, MOST_COUNTED), count > MOST_COUNTED) for name, count in counted.items()))
        )
