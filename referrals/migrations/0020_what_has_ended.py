"""What has ended stands where its owner left it, and can still be changed there: a report that somebody had read before
they left may be void, or amended. Law 1 is about what is open.
"""

from importlib import import_module

from django.db import migrations

BEFORE: str = import_module("referrals.migrations.0019_who_leaves").LIST
LOOKS = """    IF EXISTS (
        SELECT FROM referrals_owner WHERE id IN (NEW.list_id"""
AFTER = BEFORE.replace(LOOKS, LOOKS.replace("IF EXISTS", "IF NEW.closed_at IS NULL AND EXISTS"))


class Migration(migrations.Migration):
    dependencies = [("referrals", "0019_who_leaves")]
    operations = [migrations.RunSQL(AFTER, BEFORE)]
