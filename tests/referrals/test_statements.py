"""What an action costs the database: docs/decisions/0010-statements-of-an-action.md says what the number is made of."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from records import reactions
from referrals import workflow
from tests.referrals.ward import MONDAY, Ward

OF_THE_TRANSACTION = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")


def statements(captured: CaptureQueriesContext) -> list[str]:
    found = [query["sql"].strip() for query in captured.captured_queries]
    return [sql for sql in found if not sql.startswith(OF_THE_TRANSACTION)]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reacts: the higher rooms are not there, and the domain still works."""
    monkeypatch.setattr(reactions, "_registered", [])


@pytest.mark.parametrize(
    ("action", "data", "most"),
    [
        ("accept", {}, 10),
        ("book", {"slot_end": MONDAY + timedelta(days=3)}, 10),
        ("ask-information", {"question": "Since when?"}, 10),
        ("decline", {"reason": "no-capacity", "reason_text": "Full"}, 10),
        ("report", {"report": "DocumentReference/1"}, 13),
    ],
)
@pytest.mark.usefixtures("alone")
def test_an_action_takes_ten_statements_whatever_it_opens(
    ward: Ward, action: str, data: dict[str, object], most: int
) -> None:
    _loop, fulfil = ward.sent()
    with CaptureQueriesContext(connection) as captured:
        workflow.perform(fulfil.id, action, ward.clinic, data=data)
    assert len(statements(captured)) <= most, "\n".join(sql[:160] for sql in statements(captured))


@pytest.mark.usefixtures("alone")
def test_a_report_that_came_as_evidence_is_not_looked_up_again(ward: Ward) -> None:
    _loop, fulfil = ward.sent()
    report = "DocumentReference/1"
    with CaptureQueriesContext(connection) as captured:
        workflow.perform(fulfil.id, "report", ward.clinic, data={"report": report}, evidence=report)
    assert len(statements(captured)) <= 12


@pytest.mark.usefixtures("alone")
def test_many_actions_take_hardly_more_than_one(ward: Ward) -> None:
    fulfils = [ward.sent()[1] for _ in range(5)]
    with CaptureQueriesContext(connection) as captured:
        outcomes = workflow.perform_many([workflow.Act(one.id, "receive") for one in fulfils], ward.clinic)
    assert {outcome.handoff.stage for outcome in outcomes} == {"in-triage"}
    assert len(statements(captured)) <= 10
