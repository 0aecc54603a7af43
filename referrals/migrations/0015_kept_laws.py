"""What PostgreSQL holds besides: nobody leaves a list with work on it, nothing to be done is deleted, a pool is a pool.

A list is one that somebody reads here. Whoever stops signing in (a leaver, an organisation that goes) takes nothing open
along: the work has to be given to somebody else first (law 1). A handoff ends by a recorded action and never by being
deleted, nor does a loop (law 3); the tables may be emptied as a whole, as tests do.
"""

from django.db import migrations, models

LAWS = """
CREATE FUNCTION referrals_owner_leaves_nothing_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_handoff WHERE list_id = OLD.id AND closed_at IS NULL)
       OR EXISTS (SELECT FROM referrals_handoff WHERE accountable_id = OLD.id AND closed_at IS NULL) THEN
        RAISE EXCEPTION 'law 1: work stands on the list of owner %, so somebody has to read it', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_owner';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_1_owner BEFORE UPDATE OF internal ON referrals_owner
    FOR EACH ROW WHEN (OLD.internal AND NOT NEW.internal) EXECUTE FUNCTION referrals_owner_leaves_nothing_open();

CREATE OR REPLACE FUNCTION referrals_pool_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_owner WHERE id = NEW.accountable_id AND NOT (internal AND kind = 'pool')) THEN
        RAISE EXCEPTION 'law 1: no pool here is accountable for loop %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_pool';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION referrals_nothing_is_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'law 3: % % ends by a recorded action and stays', TG_TABLE_NAME, OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'law_3_stays';
END $$;
CREATE TRIGGER law_3_stays BEFORE DELETE ON referrals_loop
    FOR EACH ROW EXECUTE FUNCTION referrals_nothing_is_deleted();
CREATE TRIGGER law_3_stays BEFORE DELETE ON referrals_handoff
    FOR EACH ROW EXECUTE FUNCTION referrals_nothing_is_deleted();
CREATE TRIGGER law_3_stays BEFORE DELETE ON referrals_escalation
    FOR EACH ROW EXECUTE FUNCTION referrals_nothing_is_deleted();
"""

UNDO = """
DROP TRIGGER law_3_stays ON referrals_escalation;
DROP TRIGGER law_3_stays ON referrals_handoff;
DROP TRIGGER law_3_stays ON referrals_loop;
DROP TRIGGER law_1_owner ON referrals_owner;
CREATE OR REPLACE FUNCTION referrals_pool_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_owner WHERE id = NEW.accountable_id AND NOT internal) THEN
        RAISE EXCEPTION 'law 1: nobody here is accountable for loop %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_pool';
    END IF;
    RETURN NEW;
END $$;
DROP FUNCTION referrals_nothing_is_deleted, referrals_owner_leaves_nothing_open;
"""


class Migration(migrations.Migration):
    dependencies = [("referrals", "0014_hearsay")]
    operations = [
        migrations.AddConstraint(
            model_name="handoff",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority_rank__lte", 3)), name="handoff_priority_in_order"
            ),
        ),
        migrations.RunSQL(LAWS, UNDO),
    ]
