"""What nothing came of before is looked at again, a little of it in each round (`fhir_bridge.inbound.inquiries`)."""

from fhir_bridge.connecting.client import Server
from fhir_bridge.connecting.retries import AWAY
from fhir_bridge.inbound import addressing, inquiries, rewinding
from fhir_bridge.models import Inquiry, Partner
from fhir_bridge.pending import inbox
from fhir_bridge.sharing import relevance
from records import errors

BATCH = 50
"""In one round: of a hospital with thousands of organisations each is read again once in a day, and nothing waits for that."""


def look_again(partner: Partner, server: Server) -> None:
    """Look at what is due. Raises what says that the partner can't be asked now."""
    for inquiry in inquiries.due(partner, BATCH):
        if inquiry.reason == Inquiry.Reason.VALUE:
            _read_value(partner, server, inquiry)
        else:
            addressing.look_again(partner, server, inquiry)


def _read_value(partner: Partner, server: Server, inquiry: Inquiry) -> None:
    """A value that can be read by now comes in as if it had changed: its reports are heard again with it."""
    try:
        found = [server.read(inquiry.type, inquiry.remote_id).resource or {}]
        rewinding.look(partner, server, found)
    except (*AWAY, rewinding.Rewound):
        raise
    except errors.BatonError:
        inquiries.again(inquiry)
        return
    inbox.put(partner, relevance.relevant(partner, relevance.fresh(partner, found)))
    inquiry.delete()
