"""Views parse a request, call a lower room, and render; they hold no rule of the work."""
