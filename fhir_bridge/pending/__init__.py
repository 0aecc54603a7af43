"""What waits: what came in, in full; what a person has to mend; and the nudge that there is something to do."""
