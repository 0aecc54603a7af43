"""What kind of request a loop is around, whose answer it waits for, and who an owner is, is said once as well."""

from django.db import migrations

ORDER = """
DROP TRIGGER law_5_order ON referrals_loop;
CREATE TRIGGER law_5_order BEFORE UPDATE OF {columns}, patient_id ON referrals_loop FOR EACH ROW
    WHEN (ROW({new}) IS DISTINCT FROM ROW({old}) OR (OLD.patient_id <> '' AND NEW.patient_id = ''))
    EXECUTE FUNCTION referrals_said_once('law 5');
"""
OWNER = """
DROP TRIGGER law_1_kind ON referrals_owner;
CREATE TRIGGER law_1_kind BEFORE UPDATE OF {columns} ON referrals_owner FOR EACH ROW
    WHEN (ROW({new}) IS DISTINCT FROM ROW({old}))
    EXECUTE FUNCTION referrals_said_once('law 1');
"""


def keeping(statement: str, *columns: str) -> str:
    """The statement for these columns."""
    sides = {side: ", ".join(f"{side.upper()}.{one}" for one in columns) for side in ("new", "old")}
    return statement.format(columns=", ".join(columns), **sides)


BEFORE = ("ordered_at", "request_id", "placer")


class Migration(migrations.Migration):
    dependencies = [("referrals", "0020_what_has_ended")]
    operations = [
        migrations.RunSQL(keeping(ORDER, *BEFORE, "kind", "answer_only"), keeping(ORDER, *BEFORE)),
        migrations.RunSQL(keeping(OWNER, "kind", "key", "organization"), keeping(OWNER, "kind")),
    ]
