"""What the oracle knows of the pathways: the text of the specification as tables, copied by hand, and no logic.

Rows end with ";" or the line. `bench.oracle` reads them.
"""

# What is due when; "t:" only in test orders, "/" at that priority or severity, at the placer's own place, or with action.
DUE = """
dispatch 1bd; provide-information 2bd; decide-next-step 2bd; request-cancellation 2bd; recollect 1bd
contact-patient 2bd; review-report 7d; review-report/critical 24h; t:review-report 14d; t:review-report/abnormal 7d
match-evidence 1bd; match-evidence/stat 4h; notify-patient 14d; notify-patient/action 7d; to-tell-today today
confirm-death 1bd; sent 48h; in-triage 7d; in-triage/stat 1d; in-triage/asap 1d; in-triage/urgent 2d
awaiting-booking 7d; awaiting-booking/own 3bd; appointment-cancelled 7d; appointment-cancelled/own 3bd; scheduled 1bd
booked 1bd; no-show 2bd; in-progress 7d; seen-awaiting-report 72h; interim-report 72h; completed-no-report 72h
planned 14d; planned/stat 1d; planned/asap 1d; planned/urgent 7d; preliminary 7d; collection-booked 1bd
ordered 14d; ordered/stat 1d; ordered/asap 1d; ordered/urgent 3d
specimen-collected 7d; in-lab 7d; specimen-collected/stat 1d; specimen-collected/asap 1d; specimen-collected/urgent 2d
in-lab/stat 1d; in-lab/asap 1d; in-lab/urgent 2d; right-result 24h; authorisation-pending 5bd; referral-proposed 2bd
confirm-handover 2bd
"""
# Kinds of loop (r, f, t; u, d without a request) | handoffs | actions | from (none: wherever it is open) | to (none: it
# stays) | what opens | what depends on it and ends with it.
RULES = """
rft|fulfil|decline fail call-off||declined|decide-next-step to-tell-today|HANGING; rt|dispatch|send||dispatched|fulfil|
t|fulfil|cancel-appointment|collection-booked|ordered|to-tell-today|; rt|dispatch|withdraw||withdrawn||
rft|request-cancellation|refuse-cancellation||cancellation-refused|decide-next-step|; r|fulfil|receive|sent|in-triage||
r|fulfil|rebook|scheduled no-show appointment-cancelled|scheduled||contact-patient; u|match-evidence|refuse||refused||
r|fulfil|accept|sent in-triage awaiting-information|awaiting-booking||provide-information
r|fulfil|ask-information|sent in-triage awaiting-booking in-progress|awaiting-information|provide-information|
rft|fulfil|ask|||provide-information|
r|fulfil|book|sent in-triage awaiting-information awaiting-booking in-progress|scheduled||provide-information contact-patient
rf|fulfil|no-show|scheduled in-progress booked seen-awaiting-report|no-show|contact-patient|; rft|notify-patient contact-patient|attempt||||
t|fulfil|book-collection|ordered collection-booked|collection-booked||; t|fulfil|preliminary-result||preliminary||
t|fulfil|no-show|collection-booked|ordered|contact-patient|; r|fulfil|report||report-sent|review-report|HANGING
f|fulfil|book|planned booked no-show|booked||contact-patient; r|fulfil|seen|UNSEEN|seen-awaiting-report||HANGING
r|fulfil|cancel-appointment|scheduled|appointment-cancelled|to-tell-today|; rft|notify-patient|tell||told||
rft|review-report|acknowledge||acknowledged|notify-patient|; rft|fulfil|hold|||in-question|
rft|review-report|void|review-report acknowledged|void|right-result afresh|; rft|notify-patient|not-reached||not-reached||
rft|fulfil|withdraw-report|ENDED||right-result afresh|review-report; u|match-evidence|match||matched||
f|fulfil|cancel-appointment|booked|planned|contact-patient to-tell-today|; t|fulfil|result||final|review-report|HANGING
rt|decide-next-step|redirect||redirected|fulfil|fulfil recollect HANGING; f|fulfil|complete||done|review-report|HANGING
r|fulfil|interim-report|scheduled in-progress seen-awaiting-report interim-report completed-no-report|interim-report||
r|fulfil|complete-without-report|UNSEEN seen-awaiting-report interim-report|completed-no-report||HANGING
t|fulfil|collect|ordered collection-booked|specimen-collected||; rft|decide-next-step|close||given-up|notify-patient|
t|fulfil|receive-specimen|ordered collection-booked specimen-collected|in-lab||; d|confirm-death|confirm refute||done||
t|fulfil|reject-specimen|specimen-collected in-lab preliminary|failed|recollect decide-next-step|HANGING
rft|fulfil|request-cancellation|STARTED WAITING||request-cancellation|; f|fulfil|supersede||superseded|decide-next-step|HANGING
rft|fulfil|cancel|CANCELLABLE|cancelled|to-tell-today|HANGING; rf|fulfil|amend|ENDED||review-report|review-report
t|fulfil|amend|ENDED||review-report|review-report recollect; t|recollect|patient-declines||declined|decide-next-step|
t|recollect|decline fail||failed|decide-next-step to-tell-today|; rft|decide-next-step|hold||||
t|recollect|cancel||cancelled|to-tell-today|decide-next-step; t|recollect|hold|||in-question|
t|recollect|recollected||recollected|again|decide-next-step; rft|decide-next-step|keep|KEEPABLE|kept||
rft|request-cancellation|accept-cancellation||cancellation-accepted|to-tell-today|provide-information contact-patient
rt|contact-patient|give-up patient-declines||not-reached|in-question|; r|provide-information|answer||answered||
f|contact-patient|give-up patient-declines||not-reached|decide-next-step|; rft|contact-patient|reached book||reached||
rt|fulfil|add-performer|||beside|; rft|fulfil|start-anyway|FRUITLESS||request-cancellation|
r|fulfil|propose-referral|sent in-triage awaiting-booking in-progress|referral-proposed|proposal-to-decide|
r|decide-next-step|convert|proposal-to-decide|converted|proposer|fulfil HANGING
r|decide-next-step|decline-proposal|proposal-to-decide|proposal-declined||; r|fulfil|authorise|authorisation-pending|sent||
r|fulfil|refuse-authorisation|authorisation-pending|cancelled|decide-next-step to-tell-today|HANGING
t|fulfil recollect dispatch|discharge|||confirm-handover|; rft|confirm-handover|confirm||handover-confirmed||
"""
# Words that stand for several.
WORDS = {
    "UNSEEN": "sent in-triage awaiting-information awaiting-booking in-progress scheduled no-show appointment-cancelled",
    "STARTED": "scheduled in-progress no-show appointment-cancelled seen-awaiting-report interim-report"
    " completed-no-report specimen-collected in-lab preliminary",
    # Whatever the performer's system says, somebody has begun on the patient there; here nobody has.
    "BEGUN": "in-progress seen-awaiting-report interim-report completed-no-report specimen-collected in-lab preliminary",
    "APPOINTED": "scheduled booked collection-booked",
    "NOT_BEGUN": "no-show appointment-cancelled planned booked",
    "CANCELLABLE": "sent in-triage awaiting-information awaiting-booking ordered collection-booked planned booked"
    " authorisation-pending referral-proposed",
    "WAITING": "awaiting-information referral-proposed",
    "ENDED": "report-sent done final declined cancelled failed superseded lost-after-attempts patient-declined",
    "OUTCOMES": "report-sent done final",
    "FRUITLESS": "declined cancelled failed superseded lost-after-attempts patient-declined entered-in-error",
    "HANGING": "provide-information contact-patient request-cancellation",
    "KEEPABLE": "decide-next-step in-question right-result",
    "OUTLIVING": "review-report request-cancellation",
    "ENDING": "withdraw cancel accept-cancellation close",
    "BOOKABLE": "planned booked no-show awaiting-booking appointment-cancelled",
    # What takes the others who were asked out of the race: an acceptance or more.
    "TAKING": "awaiting-booking collection-booked report-sent final STARTED",
    # What is asked for once while it is open, and what nobody says to the dead.
    "ONCE": "notify-patient contact-patient request-cancellation to-tell-today right-result confirm-handover",
    "TOLD": "notify-patient contact-patient to-tell-today",
    # Not while others are still asked: nothing is decided yet.
    "OF_THE_LAST": "decide-next-step to-tell-today",
    # What its placer may do anywhere before the payer has agreed.
    "BEFORE_THE_PAYER": "hold add-performer",
    "KNOWN": "patient-declined lost-after-attempts patient-died cancelled-by-patient not-selected converted",
    # Those to whom nothing can be said, what was read neither.
    "UNREACHABLE": "lost-after-attempts patient-died",
    "PERFORMING": "fulfil beside proposer",
}
# What opens, who holds it ("same": whoever held what it came from; "reporter": whose report it was; the pool where no
# row says), and which handoff it is, if that isn't its name.
OPENS = """
request-cancellation same; recollect same; again same fulfil; fulfil performer; beside performer fulfil
afresh reporter fulfil; proposer reporter fulfil; authorisation-pending performer fulfil; to-tell-today pool notify-patient
provide-information referrer; decide-next-step referrer; review-report referrer; in-question referrer decide-next-step
right-result referrer decide-next-step; proposal-to-decide referrer decide-next-step; confirm-handover discharger
"""
# Where a performer begins, by the kind of loop and by what opens; and what a loop begins with that isn't to be sent.
FIRST = "r sent; f planned; t ordered; again specimen-collected; authorisation-pending authorisation-pending"
BEGINS = "u match-evidence; d confirm-death; f fulfil"
RANKS = "stat 0; asap 1; urgent 2; routine 3"
# Hours after the due time at which owner, pool and supervisor hear, by rank.
HEARS = ("0 0 0 0", "1 1 4 24", "4 4 24 72")
ATTEMPTS = 3
RECONFIRMED_DAYS = 7
