"""The one door for a resource from outside."""
