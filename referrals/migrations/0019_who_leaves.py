"""What PostgreSQL holds besides: no work comes to somebody who leaves at that moment, and what an order said stays.

Whoever puts work on a list and whoever takes its reader away looked only at what was committed, so both succeeded. A
handoff that comes to a list now locks the rows of its owners, in the order of their ids, against whoever takes a reader
away, who waits for them and then looks. A loop's request, its placer and when it was ordered never change, it doesn't
lose its patient, and an owner stays of its kind.
"""

from django.db import migrations

LIST = """
CREATE OR REPLACE FUNCTION referrals_list_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    comes boolean;
    reads_here boolean;
    listed_as text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM referrals_handoff WHERE id = NEW.id) THEN
            RETURN NEW;  -- an upsert: the update that comes instead is looked at
        END IF;
        comes := true;
    ELSE
        comes := ROW(NEW.list_id, NEW.accountable_id, NEW.pool_id)
            IS DISTINCT FROM ROW(OLD.list_id, OLD.accountable_id, OLD.pool_id);
    END IF;
    IF comes AND NEW.closed_at IS NULL THEN
        PERFORM FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id, NEW.pool_id)
            ORDER BY id FOR KEY SHARE;
    END IF;
    -- A statement of its own: it sees what whoever held those rows has written.
    IF EXISTS (
        SELECT FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id, NEW.pool_id) AND NOT internal
    ) THEN
        RAISE EXCEPTION 'law 1: handoff % stands on a list that nobody reads here', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    IF NEW.list_id = NEW.owner_id OR NEW.closed_at IS NOT NULL OR NEW.owner_id IS NULL OR NEW.list_id IS NULL THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE'
       AND ROW(NEW.owner_id, NEW.list_id, NEW.task_status = 'draft') = ROW(OLD.owner_id, OLD.list_id, OLD.task_status = 'draft') THEN
        RETURN NEW;
    END IF;
    SELECT internal INTO reads_here FROM referrals_owner WHERE id = NEW.owner_id;
    SELECT kind INTO listed_as FROM referrals_owner WHERE id = NEW.list_id;
    IF listed_as <> 'pool' OR NEW.list_id NOT IN (NEW.accountable_id, NEW.pool_id)
       OR (reads_here AND NEW.task_status <> 'draft') THEN
        RAISE EXCEPTION 'law 1: handoff % is on a list that is not its owner''s', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    RETURN NEW;
END $$;
"""

# Of the two triggers that look, this one comes first.
OWNER = """
CREATE OR REPLACE FUNCTION referrals_owner_leaves_nothing_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM referrals_owner WHERE id = OLD.id FOR UPDATE;
    IF EXISTS (SELECT FROM referrals_handoff WHERE list_id = OLD.id AND closed_at IS NULL)
       OR EXISTS (SELECT FROM referrals_handoff WHERE accountable_id = OLD.id AND closed_at IS NULL) THEN
        RAISE EXCEPTION 'law 1: work stands on the list of owner %, so somebody has to read it', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_owner';
    END IF;
    RETURN NEW;
END $$;
"""

KEPT = """
CREATE FUNCTION referrals_said_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: % % keeps what it was made of', TG_ARGV[0], TG_TABLE_NAME, OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER law_5_order BEFORE UPDATE OF ordered_at, request_id, placer, patient_id ON referrals_loop FOR EACH ROW
    WHEN (ROW(NEW.ordered_at, NEW.request_id, NEW.placer) IS DISTINCT FROM ROW(OLD.ordered_at, OLD.request_id, OLD.placer)
          OR (OLD.patient_id <> '' AND NEW.patient_id = ''))
    EXECUTE FUNCTION referrals_said_once('law 5');
CREATE TRIGGER law_1_kind BEFORE UPDATE OF kind ON referrals_owner FOR EACH ROW WHEN (NEW.kind <> OLD.kind)
    EXECUTE FUNCTION referrals_said_once('law 1');
"""

UNDO_KEPT = """
DROP TRIGGER law_1_kind ON referrals_owner;
DROP TRIGGER law_5_order ON referrals_loop;
DROP FUNCTION referrals_said_once;
"""


class Migration(migrations.Migration):
    dependencies = [("referrals", "0018_fitting_rows")]
    # The functions of the laws that were there before do no harm to what is older than they.
    operations = [migrations.RunSQL(LIST + OWNER, migrations.RunSQL.noop), migrations.RunSQL(KEPT, UNDO_KEPT)]
