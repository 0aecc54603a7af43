"""How fast the bridge exchanges with a partner, as a ratio to what the same partner takes from a client that does nothing else.

- `scene`: a practice, a hospital with an EHR, referrals between them, and what each side writes
- `bare`: the client that is held against the bridge
- `crew`: the bridge's worker processes
- `measures`: what is timed
- `hearing`: whether each of many changes is heard once, from EHRs that make it hard
"""
