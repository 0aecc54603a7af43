"""A year of referrals, follow-ups and test orders with a simulated clock, judged hour by hour by an independent oracle.

`world` founds regions (and tells the oracle of them), `habits` and `faults` are the tables of how people and partners
behave, `play` makes it happen through the real workflow, `compare` holds the product's lists against the oracle's,
`shrink` finds the shortest history of a failure, and `run` does all of it for one seed.
"""
