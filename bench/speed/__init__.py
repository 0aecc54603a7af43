"""How fast Baton is, in ratios within one run: the same work on a database and on one ten times as large."""
