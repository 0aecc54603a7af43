"""What every address of v1 shares: bearer tokens alone, a scope for each action, our JSON and our errors."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from api.smart.authentication import BearerAuthentication
from api.v1 import errors, schema  # noqa: F401  importing the schema registers it
from api.v1.wire import JSONParser, JSONRenderer
from records import access
from records.access import Actor
from records.errors import Forbidden

Needs = tuple[tuple[str, access.Interaction], ...]


class Endpoint(ViewSet):
    """A set of actions; ``needs`` says for each which (type, interaction) the token's scopes must cover.

    An action that is missing there is refused, so nothing opens by being forgotten.
    """

    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated]
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]
    metadata_class = None
    lookup_value_converter = "str"
    needs: ClassVar[Mapping[str, Needs]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then hold the token against what the action needs."""
        super().initial(request, *args, **kwargs)
        if (request.method or "").lower() not in self.action_map:
            return  # a method that this address doesn't have, which is told by the framework
        if self.action not in self.needs:
            raise Forbidden("This action has no policy.")
        for type_, interaction in self.needs[self.action]:
            access.may(self.actor, type_, interaction)

    def get_exception_handler(self) -> Callable[..., Any]:
        """The table of `api.v1.errors`."""
        return errors.handle

    @property
    def actor(self) -> Actor:
        """Who calls."""
        actor = self.request.auth
        assert isinstance(actor, Actor)  # noqa: S101  `IsAuthenticated` has passed
        return actor
