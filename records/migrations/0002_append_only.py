"""PostgreSQL itself refuses to change or remove a version."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION records_version_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions are append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON records_version
    FOR EACH ROW EXECUTE FUNCTION records_version_is_append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON records_version
    FOR EACH STATEMENT EXECUTE FUNCTION records_version_is_append_only();
"""
BACKWARD = """
DROP TRIGGER append_only ON records_version;
DROP TRIGGER append_only_truncate ON records_version;
DROP FUNCTION records_version_is_append_only();
"""

# Django adds a text_pattern_ops twin to the key of each table; with COLLATE "C" the key itself answers LIKE.
DROP_TWINS = """
DO $$
DECLARE twin text;
BEGIN
    FOR twin IN SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname ~ '^records_.*_like$'
    LOOP EXECUTE format('DROP INDEX %I', twin); END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("records", "0001_initial")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunSQL(DROP_TWINS, migrations.RunSQL.noop),
    ]
