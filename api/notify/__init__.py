"""Where partners' servers tell us that something has changed."""
