"""From here to a partner: what is marked is claimed, compared with what is there, written, and settled."""
