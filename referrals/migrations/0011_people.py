"""Standing surrogates, the pool behind every list, and that no list loses its readers while open work stands on it."""

import django.db.models.deletion
from django.db import migrations, models

FILL = """
UPDATE referrals_handoff AS handoff SET pool_id = coalesce(
    (SELECT list.id FROM referrals_owner AS list WHERE list.id = handoff.list_id AND list.kind = 'pool'),
    (SELECT pool.owner_id FROM referrals_pool AS pool JOIN referrals_owner AS list ON list.id = handoff.list_id
     JOIN referrals_owner AS accountable ON accountable.id = handoff.accountable_id
     WHERE list.organization <> accountable.organization AND pool.organization = list.organization AND pool.is_default),
    handoff.accountable_id
);
"""

LAWS = """
CREATE OR REPLACE FUNCTION referrals_list_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id, NEW.pool_id) AND NOT internal
    ) THEN
        RAISE EXCEPTION 'law 1: handoff % stands on a list that nobody reads here', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER law_1_list ON referrals_handoff;
CREATE TRIGGER law_1_list BEFORE INSERT OR UPDATE OF list_id, accountable_id, pool_id ON referrals_handoff
    FOR EACH ROW EXECUTE FUNCTION referrals_list_is_internal();

CREATE FUNCTION referrals_list_keeps_its_readers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM referrals_handoff WHERE NEW.id IN (list_id, accountable_id, pool_id) AND closed_at IS NULL
    ) THEN
        RAISE EXCEPTION 'law 1: open work stands on the list of owner %', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_readers';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_1_readers BEFORE UPDATE OF internal ON referrals_owner
    FOR EACH ROW WHEN (OLD.internal AND NOT NEW.internal) EXECUTE FUNCTION referrals_list_keeps_its_readers();
"""

UNDO = """
DROP TRIGGER law_1_readers ON referrals_owner;
DROP FUNCTION referrals_list_keeps_its_readers;
DROP TRIGGER law_1_list ON referrals_handoff;
CREATE TRIGGER law_1_list BEFORE INSERT OR UPDATE OF list_id, accountable_id ON referrals_handoff
    FOR EACH ROW EXECUTE FUNCTION referrals_list_is_internal();
CREATE OR REPLACE FUNCTION referrals_list_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id) AND NOT internal) THEN
        RAISE EXCEPTION 'law 1: handoff % stands on a list that nobody reads here', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL alters no table whose deferred triggers are pending
    dependencies = [("referrals", "0010_paused_stage")]
    operations = [
        migrations.AddField(
            model_name="owner",
            name="surrogate",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="stands_by_for",
                to="referrals.owner",
            ),
        ),
        migrations.AddField(
            model_name="handoff",
            name="pool",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="backed_handoffs",
                to="referrals.owner",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="handoff",
            name="pool",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="backed_handoffs", to="referrals.owner"
            ),
        ),
        migrations.AddIndex(
            model_name="absence", index=models.Index(fields=["ends_at"], name="absence_by_end")
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(
                condition=models.Q(
                    ("closed_at__isnull", True), models.Q(("list", models.F("pool")), _negated=True)
                ),
                fields=["pool", "priority_rank", "due_at", "id"],
                name="handoff_behind",
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="absence_ends_after_it_starts"
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(("surrogate", models.F("owner")), _negated=True),
                name="absence_of_one_instead_of_another",
            ),
        ),
        migrations.RunSQL(LAWS, UNDO),
    ]
