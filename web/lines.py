"""Rows of work as a template shows them."""
