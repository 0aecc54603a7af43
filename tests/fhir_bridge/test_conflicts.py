"""Two sides write one Task: each keeps what is its own, lists are united, and a person decides what is left."""

from typing import Any

from fhir_bridge.outbound.conflicts import before_answer, merge, news, says_nothing_new, shared, with_word_of_placer

BASE = {"resourceType": "Task", "id": "9", "meta": {"versionId": "1"}, "status": "requested", "priority": "routine"}


def test_the_performer_owns_the_status_and_the_placer_the_priority() -> None:
    ours = BASE | {"priority": "urgent", "status": "requested"}
    theirs = BASE | {"status": "accepted", "priority": "stat", "meta": {"versionId": "2"}}

    merged = merge(BASE, ours, theirs, "placer")

    assert merged.clashes == ()
    assert merged.body == BASE | {"status": "accepted", "priority": "urgent", "meta": {"versionId": "2"}}


def test_seen_from_the_performer_it_is_the_other_way_round() -> None:
    ours = BASE | {"status": "accepted", "priority": "routine"}
    theirs = BASE | {"priority": "urgent"}

    assert merge(BASE, ours, theirs, "performer").body == BASE | {"status": "accepted", "priority": "urgent"}


def test_notes_of_both_sides_are_kept_and_a_removed_one_stays_removed() -> None:
    base = BASE | {"note": [{"text": "old"}, {"text": "kept"}]}
    ours = BASE | {"note": [{"text": "kept"}, {"text": "mine"}]}
    theirs = BASE | {"note": [{"text": "old"}, {"text": "kept"}, {"text": "theirs"}]}

    assert merge(base, ours, theirs, "placer").body["note"] == [{"text": "kept"}, {"text": "theirs"}, {"text": "mine"}]


def test_a_placer_may_withdraw_what_has_not_been_started() -> None:
    ours, theirs = BASE | {"status": "cancelled"}, BASE | {"status": "accepted"}

    assert merge(BASE, ours, theirs, "placer").body["status"] == "cancelled"


def test_a_withdrawal_of_what_has_been_started_meanwhile_is_for_a_person() -> None:
    ours, theirs = BASE | {"status": "cancelled"}, BASE | {"status": "in-progress"}

    merged = merge(BASE, ours, theirs, "placer")

    assert merged.clashes == ("status",)
    assert merged.body["status"] == "in-progress"


def test_an_element_that_nobody_owns_alone_clashes_only_when_both_changed_it() -> None:
    base: dict[str, Any] = {"resourceType": "Patient", "birthDate": "1980-01-31", "gender": "unknown"}

    one_sided = merge(base, base | {"gender": "female"}, base | {"birthDate": "1980-01-30"}, "placer")
    both = merge(base, base | {"gender": "female"}, base | {"gender": "other"}, "placer")

    assert one_sided.body == {"resourceType": "Patient", "birthDate": "1980-01-30", "gender": "female"}
    assert one_sided.clashes == ()
    assert both.clashes == ("gender",)


def test_what_only_the_order_of_keys_or_the_server_says_is_nothing_new() -> None:
    theirs = {
        "resourceType": "Task",
        "id": "9",
        "meta": {"versionId": "4"},
        "for": {"display": "A", "reference": "B/1"},
    }

    assert says_nothing_new({"resourceType": "Task", "for": {"reference": "B/1", "display": "A"}}, theirs)
    assert not says_nothing_new({"resourceType": "Task"}, theirs)


def test_a_note_that_we_have_not_taken_in_yet_is_not_removed_by_our_next_write() -> None:
    ours, theirs = BASE | {"note": [{"text": "mine"}]}, BASE | {"note": [{"text": "theirs"}]}
    written = merge(BASE, ours, theirs, "placer").body

    again = merge(shared(written, ours), ours | {"priority": "urgent"}, written, "placer")

    assert again.body["note"] == [{"text": "theirs"}, {"text": "mine"}]


def test_an_answer_says_more_by_what_is_the_other_sides_to_say() -> None:
    answer = BASE | {"status": "rejected", "priority": "stat", "note": [{"text": "theirs"}], "lastModified": "2026"}

    assert news(BASE, answer, "placer") == {"status", "note"}
    assert news(BASE, answer, "performer") == {"status", "priority", "note"}


def test_what_an_answer_orders_otherwise_or_leaves_out_is_no_news() -> None:
    written = BASE | {"note": [{"text": "a"}, {"text": "b"}], "description": "By the door"}
    answer = BASE | {"note": [{"text": "b"}, {"text": "a"}], "text": {"status": "generated"}}

    assert news(written, answer, "placer") == frozenset()


def test_a_withdrawal_that_answers_our_own_write_is_still_a_withdrawal_when_it_is_heard() -> None:
    written, answer = BASE | {"status": "accepted"}, BASE | {"status": "cancelled"}
    base = before_answer(written, answer, news(written, answer, "performer"))

    heard = with_word_of_placer(merge(base, written, answer, "performer").body, base, written, answer)

    assert (base["status"], heard["status"]) == ("accepted", "cancelled")
