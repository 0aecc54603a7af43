"""The laws that PostgreSQL itself holds, whoever writes: see "Laws" in the design and ``tests/referrals/test_laws.py``.

Law 1 is a deferred constraint trigger, so that one transaction may close a handoff and open the next in any order. Its
function locks the loop's row: without that, two transactions closing one of two handoffs each would both commit.
"""

from django.db import migrations

LAW_1 = """
CREATE FUNCTION referrals_check_law_1(loop_to_check text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ended timestamptz;
    has_open boolean;
BEGIN
    SELECT closed_at INTO ended FROM referrals_loop WHERE id = loop_to_check FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT EXISTS (SELECT FROM referrals_handoff WHERE loop_id = loop_to_check AND closed_at IS NULL) INTO has_open;
    IF has_open <> (ended IS NULL) THEN
        RAISE EXCEPTION 'law 1: loop % is open if and only if it has an open handoff', loop_to_check
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1';
    END IF;
END $$;

CREATE FUNCTION referrals_law_1_of_loop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM referrals_check_law_1(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION referrals_law_1_of_handoff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM referrals_check_law_1(NEW.loop_id);
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.loop_id <> NEW.loop_id) THEN
        PERFORM referrals_check_law_1(OLD.loop_id);
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER law_1_of_loop AFTER INSERT OR UPDATE OF closed_at ON referrals_loop
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION referrals_law_1_of_loop();
CREATE CONSTRAINT TRIGGER law_1_of_handoff AFTER INSERT OR DELETE OR UPDATE OF closed_at, loop_id ON referrals_handoff
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION referrals_law_1_of_handoff();
"""

ENDS = """
CREATE FUNCTION referrals_loop_keeps_its_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.closed_at, NEW.closed_by, NEW.stage, NEW.end_reason, NEW.kind, NEW.acknowledged_at, NEW.acknowledged_by,
           NEW.acknowledged_reason, NEW.told_at, NEW.told_by, NEW.told_reason)
       IS DISTINCT FROM
       ROW(OLD.closed_at, OLD.closed_by, OLD.stage, OLD.end_reason, OLD.kind, OLD.acknowledged_at, OLD.acknowledged_by,
           OLD.acknowledged_reason, OLD.told_at, OLD.told_by, OLD.told_reason) THEN
        RAISE EXCEPTION 'law 4: loop % never leaves its end', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_4_end';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_4_end BEFORE UPDATE ON referrals_loop
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION referrals_loop_keeps_its_end();

CREATE FUNCTION referrals_handoff_keeps_its_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.closed_at, NEW.stage, NEW.kind, NEW.loop_id) IS DISTINCT FROM ROW(OLD.closed_at, OLD.stage, OLD.kind, OLD.loop_id) THEN
        RAISE EXCEPTION 'law 4: handoff % never leaves its end', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'handoff_end';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER handoff_end BEFORE UPDATE ON referrals_handoff
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION referrals_handoff_keeps_its_end();
"""

JOURNAL = """
CREATE FUNCTION referrals_journal_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'law 6: the journal only grows'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_only_grows';
END $$;
CREATE TRIGGER journal_only_grows BEFORE UPDATE OR DELETE ON referrals_event
    FOR EACH ROW EXECUTE FUNCTION referrals_journal_only_grows();
"""

UNDO = """
DROP TRIGGER journal_only_grows ON referrals_event;
DROP TRIGGER handoff_end ON referrals_handoff;
DROP TRIGGER law_4_end ON referrals_loop;
DROP TRIGGER law_1_of_handoff ON referrals_handoff;
DROP TRIGGER law_1_of_loop ON referrals_loop;
DROP FUNCTION referrals_journal_only_grows, referrals_handoff_keeps_its_end, referrals_loop_keeps_its_end,
    referrals_law_1_of_handoff, referrals_law_1_of_loop, referrals_check_law_1;
"""


class Migration(migrations.Migration):
    dependencies = [("referrals", "0001_initial")]
    operations = [migrations.RunSQL(LAW_1 + ENDS + JOURNAL, UNDO)]
