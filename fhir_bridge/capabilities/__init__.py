"""What a partner was seen to be able to do, and what is chosen of it."""
