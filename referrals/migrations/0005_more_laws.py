"""What PostgreSQL also holds: lists and accountable pools are internal, an ended loop's past stays, the journal stays whole.

A patient may still be merged into another (FHIR R4 Patient.link), so ``patient_id`` follows the patient; it is never emptied.
"""

from django.db import migrations

LAWS = """
CREATE FUNCTION referrals_list_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id) AND NOT internal) THEN
        RAISE EXCEPTION 'law 1: handoff % stands on a list that nobody reads here', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_1_list BEFORE INSERT OR UPDATE OF list_id, accountable_id ON referrals_handoff
    FOR EACH ROW EXECUTE FUNCTION referrals_list_is_internal();

CREATE FUNCTION referrals_pool_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM referrals_owner WHERE id = NEW.accountable_id AND NOT internal) THEN
        RAISE EXCEPTION 'law 1: nobody here is accountable for loop %', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_pool';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_1_pool BEFORE INSERT OR UPDATE OF accountable_id ON referrals_loop
    FOR EACH ROW EXECUTE FUNCTION referrals_pool_is_internal();

CREATE FUNCTION referrals_ended_loop_keeps_its_past() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.request_id, NEW.based_on_id, NEW.ordered_at) IS DISTINCT FROM
       ROW(OLD.request_id, OLD.based_on_id, OLD.ordered_at) OR (NEW.patient_id = '' AND OLD.patient_id <> '') THEN
        RAISE EXCEPTION 'law 4: loop % keeps what it was about', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_4_past';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER law_4_past BEFORE UPDATE ON referrals_loop
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION referrals_ended_loop_keeps_its_past();

CREATE TRIGGER journal_is_never_emptied BEFORE TRUNCATE ON referrals_event
    FOR EACH STATEMENT EXECUTE FUNCTION referrals_journal_only_grows();
"""

UNDO = """
DROP TRIGGER journal_is_never_emptied ON referrals_event;
DROP TRIGGER law_4_past ON referrals_loop;
DROP TRIGGER law_1_pool ON referrals_loop;
DROP TRIGGER law_1_list ON referrals_handoff;
DROP FUNCTION referrals_ended_loop_keeps_its_past, referrals_pool_is_internal, referrals_list_is_internal;
"""


class Migration(migrations.Migration):
    dependencies = [("referrals", "0004_outside")]
    operations = [migrations.RunSQL(LAWS, UNDO)]
