"""What PostgreSQL holds besides: a handoff's stage, end and ``Task.status`` fit together, and so do its owner and its list.

The tables of `referrals.pathways` say which stages a kind of handoff has (a new stage needs a migration that replaces
the function; ``tests/referrals/test_laws.py`` walks the tables). What Baton alone writes has exactly the status of its
stage. The status of what somebody else performs is that performer's last word, which evidence never touches
(PATHWAYS §1), so it may differ from the stage; but nothing is open that has been refused, and a draft alone waits for the payer.

New rows and changes are looked at, not what was there before: whatever contradicts itself already can still be mended.
"""

from django.db import migrations

# kind/stage/status of what only Baton writes.
OPEN = """
dispatch/to-send provide-information/asked decide-next-step/to-decide decide-next-step/in-question
decide-next-step/proposal-to-decide decide-next-step/right-result review-report/to-review notify-patient/to-tell
notify-patient/to-tell-today contact-patient/to-contact match-evidence/to-match mend-exchange/to-mend
confirm-handover/to-confirm-handover confirm-death/to-confirm-death
"""
ENDS = """
dispatch/dispatched/completed dispatch/withdrawn/cancelled
provide-information/answered/completed provide-information/unanswered/failed provide-information/overtaken/cancelled
decide-next-step/converted/completed decide-next-step/proposal-declined/completed decide-next-step/redirected/completed
decide-next-step/kept/completed decide-next-step/given-up/completed decide-next-step/overtaken/cancelled
review-report/acknowledged/completed review-report/voided/entered-in-error review-report/overtaken/cancelled
notify-patient/told/completed notify-patient/not-reached/failed notify-patient/overtaken/cancelled
contact-patient/reached/completed contact-patient/visit-booked/completed contact-patient/not-reached/failed
contact-patient/refused-by-patient/rejected contact-patient/overtaken/cancelled
match-evidence/matched/completed match-evidence/refused/rejected match-evidence/overtaken/cancelled
mend-exchange/mended/completed mend-exchange/discarded/cancelled mend-exchange/overtaken/cancelled
confirm-handover/handover-confirmed/completed confirm-handover/handover-waived/cancelled
confirm-handover/overtaken/cancelled
confirm-death/death-confirmed/completed confirm-death/death-refuted/completed confirm-death/overtaken/cancelled
"""
# kind/stage of what a performer may write, too.
PERFORMED_OPEN = """
fulfil/authorisation-pending fulfil/sent fulfil/in-triage fulfil/awaiting-information fulfil/referral-proposed
fulfil/awaiting-booking fulfil/scheduled fulfil/in-progress fulfil/appointment-cancelled fulfil/seen-awaiting-report
fulfil/interim-report fulfil/completed-no-report fulfil/no-show fulfil/planned fulfil/booked fulfil/ordered
fulfil/collection-booked fulfil/specimen-collected fulfil/in-lab fulfil/preliminary
request-cancellation/cancellation-asked recollect/to-recollect
propose-change/revocation-proposed propose-change/performer-proposed propose-change/in-full-proposed
propose-change/hold-proposed propose-change/resumption-proposed
"""
PERFORMED_ENDS = """
fulfil/report-sent fulfil/done fulfil/superseded fulfil/lost-after-attempts fulfil/patient-declined fulfil/final
fulfil/declined fulfil/cancelled fulfil/failed fulfil/entered-in-error
request-cancellation/cancellation-accepted request-cancellation/cancellation-refused request-cancellation/overtaken
recollect/recollected recollect/declined recollect/failed recollect/cancelled recollect/refused-by-patient
recollect/overtaken
propose-change/change-made propose-change/change-refused propose-change/proposal-dropped propose-change/overtaken
"""
# http://hl7.org/fhir/R4/valueset-task-status.html
STATUSES = """
draft requested received accepted rejected ready cancelled in-progress on-hold failed completed entered-in-error
"""
REFUSED = "rejected cancelled failed entered-in-error"


def _array(words: str, suffix: str = "") -> str:
    return "'{" + ",".join(word + suffix for word in words.split()) + "}'::text[]"


FITS = f"""
CREATE FUNCTION referrals_handoff_fits(kind text, stage text, status text, is_open boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN kind NOT IN ('fulfil', 'request-cancellation', 'recollect', 'propose-change') THEN
        concat_ws('/', kind, stage, status) = ANY (CASE WHEN is_open THEN {_array(OPEN, "/requested")} ELSE {_array(ENDS)} END)
    WHEN NOT is_open THEN
        concat_ws('/', kind, stage) = ANY ({_array(PERFORMED_ENDS)}) AND status = ANY ({_array(STATUSES)})
    ELSE
        concat_ws('/', kind, stage) = ANY ({_array(PERFORMED_OPEN)}) AND status = ANY ({_array(STATUSES)})
        AND status <> ALL ({_array(REFUSED)}) AND (status = 'draft') = (stage = 'authorisation-pending')
END
$$;
ALTER TABLE referrals_handoff ADD CONSTRAINT handoff_stage_fits
    CHECK (referrals_handoff_fits(kind, stage, task_status, closed_at IS NULL)) NOT VALID;
"""

# Of an owner who reads a list here it stands on that list; while the payer hasn't agreed, or of an owner elsewhere, on
# that of a pool behind it. Somebody who came to sign in later may still have work on their pool's list: what stays as it was
# is not looked at.
LIST = """
CREATE OR REPLACE FUNCTION referrals_list_is_internal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reads_here boolean;
    listed_as text;
BEGIN
    IF EXISTS (
        SELECT FROM referrals_owner WHERE id IN (NEW.list_id, NEW.accountable_id, NEW.pool_id) AND NOT internal
    ) THEN
        RAISE EXCEPTION 'law 1: handoff % stands on a list that nobody reads here', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'law_1_list';
    END IF;
    IF NEW.list_id = NEW.owner_id OR NEW.closed_at IS NOT NULL OR NEW.owner_id IS NULL OR NEW.list_id IS NULL THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM referrals_handoff WHERE id = NEW.id) THEN
            RETURN NEW;  -- an upsert: the update that comes instead is looked at
        END IF;
    ELSIF ROW(NEW.owner_id, NEW.list_id, NEW.task_status = 'draft') = ROW(OLD.owner_id, OLD.list_id, OLD.task_status = 'draft') THEN
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
DROP TRIGGER law_1_list ON referrals_handoff;
CREATE TRIGGER law_1_list BEFORE INSERT OR UPDATE OF owner_id, list_id, accountable_id, pool_id, task_status, closed_at
    ON referrals_handoff FOR EACH ROW EXECUTE FUNCTION referrals_list_is_internal();
"""

UNDO = """
DROP TRIGGER law_1_list ON referrals_handoff;
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
CREATE TRIGGER law_1_list BEFORE INSERT OR UPDATE OF list_id, accountable_id, pool_id ON referrals_handoff
    FOR EACH ROW EXECUTE FUNCTION referrals_list_is_internal();
ALTER TABLE referrals_handoff DROP CONSTRAINT handoff_stage_fits;
DROP FUNCTION referrals_handoff_fits;
"""


class Migration(migrations.Migration):
    dependencies = [("referrals", "0017_attendance")]
    operations = [migrations.RunSQL(FITS + LIST, UNDO)]
