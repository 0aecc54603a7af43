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


class Migration(migrations.Migration):
    dependencies = [("records", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
