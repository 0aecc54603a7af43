"""The clients of the machine interfaces, as rows."""

from django.db import models
from oauth2_provider.models import AbstractApplication, ApplicationManager


class Client(AbstractApplication):
    """An OAuth 2 client: another system that reads and writes here on behalf of one organisation.

    ``organization`` is the id of that root Organization, the only one whose data its tokens open. Clearing
    ``is_active`` refuses its tokens on the very next request, without forgetting who it was.
    """

    organization = models.TextField()
    is_active = models.BooleanField(default=True)

    objects = ApplicationManager()

    class Meta(AbstractApplication.Meta):
        constraints = [models.UniqueConstraint(fields=["name", "organization"], name="client_once")]
