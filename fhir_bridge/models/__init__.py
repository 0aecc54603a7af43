"""The rows of the exchange: partners, what is linked with them, what came in, and how far each poll has read."""

from fhir_bridge.models.exchange import Inbox, Inquiry, Link, Reconciliation, Watermark
from fhir_bridge.models.loads import Load, Refusal
from fhir_bridge.models.notifications import Hint, Subscription
from fhir_bridge.models.partners import Pace, Partner, SigningKey, Token

__all__ = [
    "Hint",
    "Inbox",
    "Inquiry",
    "Link",
    "Load",
    "Pace",
    "Partner",
    "Reconciliation",
    "Refusal",
    "SigningKey",
    "Subscription",
    "Token",
    "Watermark",
]
