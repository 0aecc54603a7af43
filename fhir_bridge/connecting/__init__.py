"""How we reach a partner: finding out what it can do, who we are there, how much we ask, and what an answer means."""
