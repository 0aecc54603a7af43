"""E-mail to staff about overdue work, with a real SMTP server at the other end of the wire that misbehaves on demand."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import connections
from django.utils import translation
from pytest_django import Settings

from records import clock
from referrals import escalation, mailing, people
from referrals.models import Absence, Delivery, Escalation, Handoff, Mailbox, Pool, PoolMember, User
from referrals.pathways import HANDOFFS
from tests.referrals.ward import MONDAY, Ward, found_ward

LATE = MONDAY + timedelta(days=1)
pytestmark = pytest.mark.usefixtures("post_office")


@dataclass
class PostOffice:
    """What the server answers, and what it has taken."""

    refuses: dict[str, str] = field(default_factory=dict)
    answers: str = "250 OK"
    is_dumb: bool = False
    taken: list[EmailMessage] = field(default_factory=list)
    attempts: int = 0

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.attempts += 1
        if self.is_dumb:
            await asyncio.Event().wait()
        if self.answers.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.taken.append(message_from_bytes(content, policy=policy.default))
        return self.answers


@pytest.fixture
def post_office(settings: Settings) -> Iterator[PostOffice]:
    """A mail server on this machine, named in the settings."""
    office = PostOffice()
    server = Controller(office, hostname="127.0.0.1", port=_free_port())
    server.start()
    settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 0.5
    yield office
    server.stop()


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def reachable(name: str, **changes: Any) -> User:
    """A member of the practice's pool with an address."""
    user, _new = User.objects.get_or_create(username=name)
    User.objects.filter(pk=user.pk).update(**{"email": f"{name}@practice.example", **changes})
    PoolMember.objects.get_or_create(pool=Pool.objects.get(organization="practice"), user=user)
    return User.objects.get(pk=user.pk)


def overdue(ward: Ward, number: int = 1) -> list[Handoff]:
    """Some handoffs of the practice's pool that have escalated to it."""
    found = [ward.only(ward.order(), "dispatch") for _ in range(number)]
    escalation.sweep(LATE)
    return found


def send(at: datetime = LATE) -> int:
    with clock.at(at):
        return mailing.send_due(at)


def test_one_message_tells_how_much_of_what_and_its_acceptance_is_the_delivery(
    ward: Ward, post_office: PostOffice
) -> None:
    reachable("coordinator")
    overdue(ward, 3)
    assert send() == 1
    (letter,) = post_office.taken
    assert (letter["To"], letter["Subject"]) == ("coordinator@practice.example", "Baton: 3 tasks are overdue")
    assert "3 × Send the request" in letter.get_content()
    assert "http://127.0.0.1:8000/" in letter.get_content().split()
    assert set(Escalation.objects.values_list("channel", "delivered_at")) == {("e-mail", LATE)}
    assert Delivery.objects.count() == 3
    assert send(LATE + timedelta(hours=1)) == 0, "once is enough"


def test_nothing_of_a_patient_is_in_the_message_or_in_the_log(
    ward: Ward, post_office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reachable("coordinator")
    post_office.answers = "451 4.3.0 try again, Иванова"
    (handoff,) = overdue(ward)
    send()
    post_office.answers = "250 OK"
    send(LATE + timedelta(hours=1))
    words = post_office.taken[0].as_string() + post_office.taken[0].get_content() + caplog.text
    for secret in ("Иванова", "Анна", ward.patient, "Cardiology", handoff.id, handoff.loop_id):
        assert secret not in words.replace("patient", ""), secret


@pytest.mark.parametrize("language", ["es", "ru"])
def test_it_is_written_in_the_persons_language(ward: Ward, post_office: PostOffice, language: str) -> None:
    reachable("coordinator", language=language)
    overdue(ward)
    send()
    with translation.override(language):
        label = str(HANDOFFS["dispatch"].label)
    assert label != "Send the request"
    assert f"1 × {label}" in post_office.taken[0].get_content()


@pytest.mark.parametrize(
    "changes", [{"email": ""}, {"wants_mail": False}, {"is_active": False}], ids=["no address", "not wanted", "left"]
)
def test_who_has_no_address_or_wants_none_hears_in_the_app_alone(
    ward: Ward, post_office: PostOffice, changes: dict[str, Any]
) -> None:
    reachable("coordinator", **changes)
    overdue(ward)
    assert send() == 0
    assert len(escalation.waiting(ward.coordinator)) == 1
    assert Escalation.objects.get().delivered_at is None


def test_what_was_shown_in_the_app_or_done_is_not_sent(ward: Ward, post_office: PostOffice) -> None:
    reachable("coordinator")
    shown, done = overdue(ward, 2)
    notices = {one.handoff_id: one.id for one in escalation.waiting(ward.coordinator)}
    escalation.displayed(ward.coordinator, [notices[shown.id]])
    ward.does(ward.referrer, done, "withdraw", reason="withdrawn")
    assert send() == 0


def test_every_member_of_a_pool_and_the_supervisor_get_their_own(ward: Ward, post_office: PostOffice) -> None:
    reachable("coordinator")
    reachable("second")
    User.objects.filter(username="boss").update(email="boss@practice.example")
    ward.order()
    escalation.sweep(LATE + timedelta(days=4))
    assert send(LATE + timedelta(days=4)) == 3
    assert {letter["To"].split("@")[0] for letter in post_office.taken} == {"coordinator", "second", "boss"}
    assert {letter["Subject"] for letter in post_office.taken} == {"Baton: 1 task is overdue"}


def test_who_stands_in_for_an_absent_person_hears_too(ward: Ward, post_office: PostOffice) -> None:
    User.objects.filter(username="boss").update(email="boss@practice.example")
    User.objects.create(username="deputy", practitioner="deputy", email="deputy@practice.example")
    deputy = people.owner_for("person", "deputy", organization="practice", name="Deputy")
    now = LATE + timedelta(days=4)
    Absence.objects.create(owner=ward.supervisor, surrogate=deputy, starts_at=MONDAY, ends_at=now + timedelta(hours=1))
    ward.order()
    escalation.sweep(now)
    assert send(now) == 2
    assert sorted(letter["To"].split("@")[0] for letter in post_office.taken) == ["boss", "deputy"]
    ward.order()
    escalation.sweep(now + timedelta(hours=1))
    assert send(now + timedelta(hours=1)) == 1, "back at work"


def test_what_comes_soon_after_a_message_waits_for_the_next_one(ward: Ward, post_office: PostOffice) -> None:
    reachable("coordinator")
    overdue(ward)
    send()
    overdue(ward, 2)
    assert send(LATE + timedelta(minutes=14)) == 0
    assert send(LATE + timedelta(minutes=15)) == 1
    assert post_office.taken[1]["Subject"] == "Baton: 2 tasks are overdue"


def test_a_dead_server_costs_one_attempt_and_is_tried_again_later_each_time(
    ward: Ward, post_office: PostOffice, settings: Settings
) -> None:
    first, second = reachable("coordinator"), reachable("second")
    overdue(ward)
    alive, settings.EMAIL_PORT = settings.EMAIL_PORT, _free_port()
    assert send() == 0
    assert sorted(Mailbox.objects.values_list("attempts", flat=True)) == [0, 1]
    assert not Mailbox.objects.filter(leased_until__isnull=False).exists(), "nobody waits for a lease"
    assert Escalation.objects.get().delivered_at is None
    settings.EMAIL_PORT = alive
    assert send(LATE + timedelta(minutes=2)) == 2
    assert set(Mailbox.objects.filter(user__in=[first, second]).values_list("attempts", "last_error")) == {(0, "")}


def test_the_pause_doubles_up_to_an_hour() -> None:
    minutes = [mailing.pause_after(attempts).total_seconds() / 60 for attempts in (1, 2, 3, 6, 7, 8, 10_000)]
    assert minutes == [1, 2, 4, 32, 60, 60, 60]


def test_a_server_that_never_answers_holds_nobody_up_for_long(ward: Ward, post_office: PostOffice) -> None:
    reachable("coordinator")
    overdue(ward)
    post_office.is_dumb = True
    assert send() == 0
    assert Mailbox.objects.get().attempts == 1
    post_office.is_dumb = False
    assert send(LATE + timedelta(minutes=1)) == 1


def test_an_address_that_is_refused_for_good_is_left_alone_until_it_changes(
    ward: Ward, post_office: PostOffice
) -> None:
    reachable("second")
    refused = reachable("coordinator")
    overdue(ward)
    post_office.refuses = {refused.email: "550 5.1.1 no such user"}
    assert send() == 1, "the other one gets hers"
    assert (Mailbox.objects.get(user=refused).refused_address, Mailbox.objects.get(user=refused).last_error) == (
        refused.email,
        "550",
    )
    assert send(LATE + timedelta(hours=2)) == 0
    User.objects.filter(pk=refused.pk).update(email="new@practice.example")
    assert send(LATE + timedelta(hours=3)) == 1


def test_an_address_that_is_refused_for_now_is_tried_again(ward: Ward, post_office: PostOffice) -> None:
    user = reachable("coordinator")
    overdue(ward)
    post_office.refuses = {user.email: "450 4.2.1 busy"}
    assert send() == 0
    post_office.refuses = {}
    assert send(LATE + timedelta(minutes=1)) == 1


def test_a_message_that_the_server_does_not_take_stops_no_other(ward: Ward, post_office: PostOffice) -> None:
    reachable("coordinator")
    reachable("second")
    overdue(ward)
    post_office.answers = "552 5.3.4 too big"
    assert send() == 0
    assert (post_office.attempts, set(Mailbox.objects.values_list("last_error", flat=True))) == (2, {"552"})


def test_a_worker_that_died_after_the_acceptance_repeats_the_same_message_once_its_lease_is_over(
    ward: Ward, post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable("coordinator")
    overdue(ward)
    with monkeypatch.context() as broken:
        broken.setattr(mailing, "_note_acceptance", _die)
        with pytest.raises(KeyboardInterrupt):
            send()
    assert send(LATE + timedelta(minutes=9)) == 0, "the lease holds"
    assert send(LATE + timedelta(minutes=10)) == 1
    assert len({letter["Message-ID"] for letter in post_office.taken}) == 1
    assert len(post_office.taken) == 2


def _die(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_without_a_mail_server_nothing_is_sent_and_nothing_counts_as_delivered(
    ward: Ward, settings: Settings, post_office: PostOffice
) -> None:
    settings.EMAIL_URL = ""
    reachable("coordinator")
    overdue(ward)
    assert send() == 0
    assert (Escalation.objects.get().delivered_at, post_office.attempts) == (None, 0)


@pytest.mark.usefixtures("commits")
def test_two_workers_at_once_send_each_message_once(post_office: PostOffice) -> None:
    with clock.at(MONDAY):
        ward = found_ward()
        for number in range(8):
            reachable(f"member-{number}")
        overdue(ward)

    def work(_number: int) -> int:
        try:
            return mailing.send_due(LATE)
        finally:
            connections.close_all()

    run: Callable[[int], int] = work
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 8
    assert sorted(letter["To"] for letter in post_office.taken) == sorted(
        {letter["To"] for letter in post_office.taken}
    )
    assert Delivery.objects.count() == 8
