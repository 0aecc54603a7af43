"""Dates that can't be misread: the month as a word (in the genitive), 24 hours."""

DATE_FORMAT = "j E Y"
DATETIME_FORMAT = "j E Y, H:i"
SHORT_DATE_FORMAT = "j E Y"
SHORT_DATETIME_FORMAT = "j b, H:i"
TIME_FORMAT = "H:i"
