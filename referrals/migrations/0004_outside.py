"""Whether a handoff's owner is outside is stored, so that what is watched elsewhere has an index of its own."""

from django.db import migrations, models

FILL = """
UPDATE referrals_handoff AS handoff SET is_outside = owner.organization <> pool.organization
FROM referrals_owner AS owner, referrals_owner AS pool
WHERE owner.id = handoff.owner_id AND pool.id = handoff.accountable_id;
"""


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL alters no table whose deferred triggers are pending
    dependencies = [("referrals", "0003_evidence_indexes")]
    operations = [
        migrations.RemoveIndex(model_name="handoff", name="handoff_watched"),
        migrations.AddField(
            model_name="handoff",
            name="is_outside",
            field=models.BooleanField(default=False),
            preserve_default=False,
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", True), ("is_outside", True))
                & models.Q(("list", models.F("accountable")), _negated=True),
                fields=["accountable", "priority_rank", "due_at", "id"],
                name="handoff_watched",
            ),
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", True)),
                fields=["list", "kind", "priority_rank", "due_at", "id"],
                name="handoff_worklist_of_kind",
            ),
        ),
    ]
