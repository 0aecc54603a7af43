"""How we connect to a partner: what it can do, what we choose from that, who we are there, and how much we ask of it."""
