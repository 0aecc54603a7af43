"""E-mail to staff about what is overdue: one message for a person, however much there is, without a patient's data.

What is to be sent is derived: the escalations on somebody's lists that they have not been shown and no mail server has
taken for them. So nothing can be lost between a row and a message. `send_due` leases the mailboxes, sends outside any
transaction, and notes what was accepted. A worker that dies in between leaves a lease that ends: its message may then
come twice, under the same Message-ID. A dead server costs one attempt a round, and nobody else waits for it.
"""

import logging
import smtplib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from records import clock
from referrals.models import Delivery, Escalation, Mailbox, User
from referrals.pathways import HANDOFFS

BATCH = 50
LEASE = timedelta(minutes=10)
LONGEST_ROUND_SECONDS = 60.0
QUIET = timedelta(minutes=15)  # between two messages to one person †
TOLD_FOR = timedelta(days=7)  # what is older has come to the supervisor, and stays on the lists
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
PERMANENT = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Digest:
    """What one person is to hear of: the escalations, and how many handoffs of each kind they are about."""

    user: User
    escalations: tuple[int, ...]
    kinds: Mapping[str, int]


def send_due(now: datetime) -> int:
    """Send what is due to everybody whose turn it is; gives how many messages a mail server has taken."""
    if not settings.EMAIL_URL:
        return 0
    digests = _claim(now)
    sent, stop_at = 0, time.monotonic() + LONGEST_ROUND_SECONDS
    left = list(digests)
    with _Post() as post:
        while left and post.is_up and time.monotonic() < stop_at:
            sent += post.send(left.pop(0))
    _release(digest.user for digest in left)
    return sent


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many failures in a row: doubled each time, an hour at most."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 10)), LONGEST_PAUSE)


def message(digest: Digest) -> EmailMessage:
    """The message in the person's language: how many of what, and where to look; nothing of any patient."""
    count = sum(digest.kinds.values())
    with translation.override(digest.user.language or "en"):
        lines = [
            ngettext(
                "%(count)d task on your lists in Baton is past its due time:",
                "%(count)d tasks on your lists in Baton are past their due time:",
                count,
            )
            % {"count": count},
            "",
            *(f"  {number} × {HANDOFFS[kind].label}" for kind, number in sorted(digest.kinds.items())),
            "",
            _("Your worklist: %(address)s") % {"address": f"{settings.BATON_SERVED_URL}/"},
            "",
            _("You can switch these messages off in the menu under your name."),
        ]
        subject = ngettext("Baton: %(count)d task is overdue", "Baton: %(count)d tasks are overdue", count)
    return EmailMessage(
        subject % {"count": count},
        "\n".join(lines) + "\n",
        to=[digest.user.email],
        headers={"Message-ID": _message_id(digest), "Auto-Submitted": "auto-generated"},
    )


def _message_id(digest: Digest) -> str:
    """The same for the same content, so that a mail program shows a repetition once."""
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">")
    return f"<overdue.{digest.user.pk}.{len(digest.escalations)}.{max(digest.escalations)}@{host}>"


class _Post:
    """One connection to the mail server; ``is_up`` is False once it has failed, and the rest waits for another round."""

    def __init__(self) -> None:
        self.is_up = True
        self._server: BaseEmailBackend | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._server is not None:
            try:
                self._server.close()
            except OSError as error:
                log.info("mail server did not say goodbye: %s", type(error).__name__)

    def send(self, digest: Digest) -> int:
        """Send one message and note what became of it; 1 when it was taken."""
        try:
            self._connected().send_messages([message(digest)])
        except smtplib.SMTPRecipientsRefused as error:
            _note_refusal(digest.user, _code(error))
            return 0
        except OSError as error:  # smtplib's errors are, too
            self.is_up = isinstance(error, smtplib.SMTPDataError)  # only that is about this message alone
            _put_off(digest.user, _why(error))
            return 0
        _note_acceptance(digest)
        return 1

    def _connected(self) -> BaseEmailBackend:
        if self._server is None:
            server = get_connection(fail_silently=False)
            server.open()
            self._server = server
        return self._server


def _code(error: smtplib.SMTPRecipientsRefused) -> int:
    return max((code for code, _words in error.recipients.values()), default=0)


def _why(error: OSError) -> str:
    """The server's code, else the kind of error; never its words, which may quote an address."""
    return str(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else type(error).__name__


def _claim(now: datetime) -> list[Digest]:
    """Lease the mailboxes that have something to hear and whose turn it is; gives what each is to hear."""
    with transaction.atomic():
        pending = _pending(now)
        Mailbox.objects.bulk_create((Mailbox(user_id=key) for key in pending), ignore_conflicts=True)
        free = Mailbox.objects.select_for_update(skip_locked=True, of=("self",)).select_related("user")
        boxes = [box for box in free.filter(user__in=pending) if _is_free(box, now)]
        Mailbox.objects.filter(pk__in=[box.pk for box in boxes]).update(leased_until=now + LEASE)
    return [_digest(box.user, pending[box.pk]) for box in boxes]


def _is_free(box: Mailbox, now: datetime) -> bool:
    """Asked again under the lock: another worker may have leased it, or sent, since the query."""
    return all(at is None or at <= now for at in (box.leased_until, box.not_before_at))


def _digest(user: User, pending: Sequence[tuple[int, str, str]]) -> Digest:
    """One handoff that has come to several levels of the same person counts once."""
    kinds = Counter({handoff: kind for _key, handoff, kind in pending}.values())
    return Digest(user, tuple(key for key, _handoff, _kind in pending), kinds)


def _pending(now: datetime) -> dict[int, list[tuple[int, str, str]]]:
    """By user: the (escalation, handoff, kind) that each is to hear of, for the first `BATCH` whose turn it is."""
    found: dict[int, list[tuple[int, str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_PENDING, {"now": now, "since": now - TOLD_FOR, "most": BATCH})
        for user, *what in cursor.fetchall():
            found.setdefault(user, []).append((what[0], what[1], what[2]))
    return found


def _note_acceptance(digest: Digest) -> None:
    now = clock.now()
    with transaction.atomic():
        Delivery.objects.bulk_create(
            (Delivery(escalation_id=key, user=digest.user, accepted_at=now) for key in digest.escalations),
            ignore_conflicts=True,
        )
        Escalation.objects.filter(pk__in=digest.escalations, delivered_at=None).update(
            delivered_at=now, channel="e-mail"
        )
        _settle(digest.user, attempts=0, not_before_at=now + QUIET, last_error="", refused_address="")


def _note_refusal(user: User, code: int) -> None:
    """The server takes nothing for this address: for good, or for now."""
    if code < PERMANENT:
        _put_off(user, str(code))
        return
    log.warning("the mail server refuses the address of user %s: %s", user.pk, code)
    _settle(user, last_error=str(code), refused_address=user.email)


def _put_off(user: User, why: str) -> None:
    attempts = Mailbox.objects.values_list("attempts", flat=True).get(pk=user.pk) + 1
    log.warning("mail to user %s was not taken, attempt %s: %s", user.pk, attempts, why)
    _settle(user, attempts=attempts, not_before_at=clock.now() + pause_after(attempts), last_error=why)


def _release(users: Iterable[User]) -> None:
    Mailbox.objects.filter(user__in=list(users)).update(leased_until=None)


def _settle(user: User, **values: Any) -> None:
    Mailbox.objects.filter(pk=user.pk).update(leased_until=None, **values)


# A person hears of what stands on their own name, of what the pools hear whose member they are, and of both for whom they
# stand in; what was shown in the app has been heard.
_PENDING = """
WITH news AS (
    SELECT e.id, e.owner_id, h.id AS handoff, h.kind FROM referrals_escalation AS e
    JOIN referrals_handoff AS h ON h.id = e.handoff_id AND h.closed_at IS NULL AND h.due_at = e.due_at
    WHERE e.recorded_at > %(since)s AND e.channel <> 'app'
), told AS (
    SELECT id, owner_id, handoff, kind FROM news
    UNION
    SELECT n.id, a.surrogate_id, n.handoff, n.kind FROM news AS n JOIN referrals_absence AS a ON a.owner_id = n.owner_id
    WHERE a.surrogate_id IS NOT NULL AND a.starts_at <= %(now)s AND a.ends_at > %(now)s
), heard AS (
    SELECT u.id AS person, t.id, t.handoff, t.kind FROM told AS t
    JOIN referrals_owner AS o ON o.id = t.owner_id AND o.kind = 'person'
    JOIN referrals_user AS u ON u.practitioner = o.key AND o.key <> ''
    UNION
    SELECT m.user_id, t.id, t.handoff, t.kind FROM told AS t JOIN referrals_pool AS p ON p.owner_id = t.owner_id
    JOIN referrals_poolmember AS m ON m.pool_id = p.id
), pending AS (
    SELECT h.person, h.id, h.handoff, h.kind FROM heard AS h JOIN referrals_user AS u ON u.id = h.person
    LEFT JOIN referrals_mailbox AS b ON b.user_id = u.id
    WHERE u.is_active AND u.wants_mail AND u.email <> '' AND u.email IS DISTINCT FROM b.refused_address
      AND (b.not_before_at IS NULL OR b.not_before_at <= %(now)s)
      AND (b.leased_until IS NULL OR b.leased_until <= %(now)s)
      AND NOT EXISTS (SELECT FROM referrals_delivery AS d WHERE d.escalation_id = h.id AND d.user_id = h.person)
), turn AS (SELECT person FROM pending GROUP BY person ORDER BY min(id) LIMIT %(most)s)
SELECT person, id, handoff, kind FROM pending JOIN turn USING (person) ORDER BY person, id
"""
