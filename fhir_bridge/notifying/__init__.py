"""A partner's notifications: what we ask to be told of, and what is made of a hint."""
