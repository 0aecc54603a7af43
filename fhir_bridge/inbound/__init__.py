"""From a partner to here: read by its clock, by patient or by id, kept in full, and applied one by one."""
