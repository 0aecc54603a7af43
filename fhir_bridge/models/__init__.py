"""The rows of the exchange: partners, what is linked with them, what came in, and how far each poll has read."""

from fhir_bridge.models.exchange import Inbox, Link, Watermark
from fhir_bridge.models.partners import Partner

__all__ = ["Inbox", "Link", "Partner", "Watermark"]
