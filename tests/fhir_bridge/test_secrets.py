"""Whatever goes wrong with whomever: no secret stands anywhere in clear, and no patient's name leaves with a log or a message."""

import base64
import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import redis
import structlog
from django.db import connection
from django.test import Client
from kombu import Connection
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from bench.fake_ehr import Answer, FakeEhr, Request, script
from bench.fake_ehr.server import Fault
from config import embedded, wake
from fhir_bridge import tasks
from fhir_bridge.connecting import keys, partners, secrets
from fhir_bridge.connecting.credentials import Credentials
from fhir_bridge.models import Inbox, Link, Partner, SigningKey, Subscription
from fhir_bridge.notifying import hints
from records import clock
from referrals import workflow
from tests.fhir_bridge.authority import Asked, Authority, Said, granted
from tests.fhir_bridge.story import ANA, GP, PRACTICE, Story, keep, promise, request_for_ana

TOKEN = "acc3ss-t0ken-that-nobody-may-read"
KINDS: Mapping[str, tuple[str, str]] = {
    "bearer": ("b3arer-t0ken/of+a.partner", ""),
    "basic": ("pässwörd of ä partner & more", "baton-user"),
    "client-credentials": ("cl1ent secret: of/a+partner", "baton-client"),
    "smart-backend": ("", "baton-backend"),
}
FAULTS = ("500-before", "dropped", "reset", "html", "outcome", "truncated", "wrong-id", "503")
QUIET = (timedelta(0), timedelta(hours=1), timedelta(hours=2), timedelta(hours=3), timedelta(days=2))


@dataclass
class World:
    """A partner with each kind of credentials, each with an EHR of its own, and what their people know."""

    story: Story
    authority: Authority
    ehrs: dict[str, FakeEhr] = field(default_factory=dict)

    def secrets(self) -> dict[str, str]:
        """Every secret that there is, by what it is."""
        found = {kind: secret for kind, (secret, _user) in KINDS.items() if secret} | {"access token": TOKEN}
        for row in SigningKey.objects.all():
            private = json.loads(secrets.opened(row.private))
            found |= {f"{row.alg} {name}": private[name] for name in ("d", "p", "q") if name in private}
        return found | {f"hook {row.pk}": secrets.opened(row.secret) for row in Subscription.objects.all()}

    def patient(self) -> dict[str, str]:
        return {"name": f"Canary{self.story.run}", "identifier": f"4711-{self.story.run}"}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that the house's own handler writes, down to the chattiest level."""
    root = logging.getLogger()
    (handler,) = (h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    assert isinstance(handler, logging.StreamHandler)
    written, level = io.StringIO(), root.level
    before = handler.setStream(written)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(level)
    handler.setStream(before)


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker of this test's own, to which the wake-ups go and which nobody empties."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)  # pytest's own folders: let the broker's account through
    with embedded.broker(embedded.home(tmp_path / "data")) as part:
        monkeypatch.setattr(wake, "_broker", Connection(part.url))
        monkeypatch.setattr(wake, "_not_before", 0.0)
        yield part.url


@pytest.fixture
def world(story: Story, authority: Authority, settings: Settings) -> Iterator[World]:
    settings.BATON_SERVED_URL = "https://baton.example"
    authority.says = lambda asked: Said(granted(TOKEN, scope=asked.form.get("scope", "")))
    keys.rotate("ES384")
    keys.rotate("RS384")
    with ExitStack() as stack:
        ehrs = {kind: stack.enter_context(FakeEhr()) for kind in KINDS}
        for kind, ehr in ehrs.items():
            add(story, kind, ehr, authority)
        yield World(story, authority, ehrs)


def add(story: Story, kind: str, ehr: FakeEhr, authority: Authority) -> None:
    secret, user = KINDS[kind]
    keep({"resourceType": "Organization", "id": f"org-{kind}", "name": kind})
    address = authority.url if kind in ("client-credentials", "smart-backend") else ""
    known = Credentials(kind, secret, user, "", address)
    partner = partners.add(kind, ehr.base_url, organization=f"org-{kind}", steward_pool=story.pool, credentials=known)
    partner.lag_seconds = -2.0
    promise(partner)
    partner.abilities |= {"smart": {"signing_algs": ["ES384"]}, "subscriptions": "rest-hook"}
    partner.save()


def refer(story: Story, kind: str) -> None:
    body = request_for_ana(story.run) | {"performer": [{"reference": f"Organization/org-{kind}"}]}
    order = workflow.Order(
        kind="referral",
        request=keep(body),
        patient_id=ANA,
        placer=PRACTICE,
        performer=f"org-{kind}",
        requester=GP,
        title="Cardiology",
        is_sent=True,
    )
    workflow.open_loop(order, story.gp)


def telling(request: Request, honest: Answer) -> Answer:
    """An EHR that says in its errors whatever it has been told: who asks, and for whom."""
    words = {"authorization": request.headers.get("authorization", ""), "asked": request.query, "sent": request.body}
    issue = {"severity": "error", "code": "processing", "diagnostics": json.dumps(words, ensure_ascii=False)}
    is_write = request.verb in ("POST", "PUT")
    body = {"resourceType": "OperationOutcome", "issue": [{**issue, "details": {"text": str(words)}}]}
    return Answer(422, body) if is_write else Answer(500, body)


def works(world: World, passed: timedelta) -> None:
    """What the workers do in a round, with everybody."""
    with clock.at(clock.now() + passed):
        for partner in Partner.objects.all():
            tasks.push(partner.pk)
            tasks.pull(partner.pk)
        tasks.reconcile_due(clock.now())


def exchanged(world: World) -> None:
    """A whole exchange: first all goes wrong that can, one thing after the other, then it goes well, then wrong again."""
    refused(world)
    answered(world)
    notified(world)
    every(world, telling)
    for kind in world.ehrs:
        refer(world.story, kind)
    for days in (4, 5):
        works(world, timedelta(days=days))
    every(world, lambda _request, _honest: Answer(401, {"resourceType": "OperationOutcome", "issue": []}))
    works(world, timedelta(days=6))


def refused(world: World) -> None:
    """Nobody gets a token, and then every answer is another fault."""
    for kind, ehr in world.ehrs.items():
        refer(world.story, kind)
        ehr.mood = script(*FAULTS * 2)
    world.authority.says = telling_of_tokens
    works(world, QUIET[0])
    world.authority.says = lambda asked: Said(granted(TOKEN, scope=asked.form.get("scope", "")))
    for passed in QUIET[1:]:
        works(world, passed)


def answered(world: World) -> None:
    """They get it, accept it, and write what nobody can read."""
    for ehr in world.ehrs.values():
        ehr.mood = None
    works(world, timedelta(days=2, hours=12))
    for ehr in world.ehrs.values():
        for task in ehr.all("Task"):
            ehr.put(task | {"status": "accepted"})
            ehr.put(task | {"id": f"{task['id']}-odd", "code": "no concept", "for": ["nobody"]})
    works(world, timedelta(days=3))


def every(world: World, fault: Fault) -> None:
    """All EHRs have that fault from now on."""
    for ehr in world.ehrs.values():
        ehr.fault = fault


def telling_of_tokens(asked: Asked) -> Said:
    """An authorisation server that repeats what it was told."""
    told = json.dumps({"form": dict(asked.form), "header": asked.headers.get("authorization", "")})
    return Said({"error": "invalid_client", "error_description": told}, 400)


def notified(world: World) -> None:
    """Notifications with the secret, with a wrong one, and with a patient in them."""
    for row in Subscription.objects.all():
        for secret in (secrets.opened(row.secret), "wrong"):
            body = {"resourceType": "Task", "id": "7", "description": world.patient()["name"]}
            reply = Client(headers={hints.SECRET_HEADER: secret})
            reply.post(f"/notify/{row.key}", json.dumps(body), content_type="application/fhir+json")


def forms(secret: str) -> set[str]:
    """How a text may stand somewhere: as it is, escaped, or anywhere within base64 or hexadecimal digits."""
    raw = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], raw.hex()}
    for shift in range(3):  # where it begins within a group of three bytes; the edges depend on its neighbours
        whole = len(raw) - (3 - shift) % 3
        start = (3 - shift) % 3
        inner = raw[start : start + whole // 3 * 3]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(inner).decode())
    return found


def hits(text: str, wanted: Mapping[str, str]) -> list[str]:
    """What of this stands in the text in any form."""
    return [what for what, secret in wanted.items() if any(form in text for form in forms(secret))]


def dump() -> Iterator[tuple[str, str]]:
    """(table, row) for every row of every table, all columns as text; bytes also as what they may say."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{schema}"."{table}" AS t')
            for (row,) in cursor.fetchall():
                yield table, row + "".join(_decoded(row))


def _decoded(row: str) -> Iterator[str]:
    for digits in re.findall(r"\\x([0-9a-f]{2,})", row):
        yield bytes.fromhex(digits).decode(errors="replace")


def messages(url: str) -> list[str]:
    """Everything in the broker, and the bodies of Celery's messages, which are base64."""
    client = redis.Redis.from_url(url.replace("redis+socket://", "unix://"))
    raw: list[Any] = []
    for key in client.scan_iter():
        kind = client.type(key)
        raw += [
            key,
            *(client.lrange(key, 0, -1) if kind == b"list" else client.smembers(key) if kind == b"set" else []),
        ]
    texts = [each.decode(errors="replace") for each in raw]
    return texts + [base64.b64decode(json.loads(each)["body"]).decode() for each in texts if each.startswith("{")]


@pytest.mark.parametrize("before", ["", "x", "xy", "baton-user:"])
def test_a_secret_is_found_in_every_form(before: str) -> None:
    for what, (secret, _user) in KINDS.items():
        whole = f"{before}{secret} and more"
        raw = whole.encode()
        shown = (
            whole,
            quote(whole),
            quote_plus(whole),
            base64.b64encode(raw),
            base64.urlsafe_b64encode(raw),
            raw.hex(),
        )
        for text in shown if secret else ():
            assert hits(str(text), {what: secret}) == [what]


def test_no_secret_and_no_patient_is_where_they_do_not_belong(
    world: World,
    lines: io.StringIO,
    broker: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        exchanged(world)
    wanted = world.secrets()
    log, sent = lines.getvalue(), messages(broker)

    assert {row.state for row in Link.objects.all()} >= {Link.State.CLEAN, Link.State.STUCK}
    assert Inbox.objects.filter(state=Inbox.State.QUARANTINED).exists()
    assert set(Partner.objects.values_list("state", flat=True)) == {Partner.State.PAUSED}
    assert len(wanted) >= len(KINDS) + len(("d", "d", "p", "q", "hook"))
    assert log.count("\n") > len(KINDS)
    assert any("fhir_bridge.tasks.push" in each for each in sent)

    rows = [(table, hits(row, wanted)) for table, row in dump()]
    assert len(rows) > 100
    assert [(table, found) for table, found in rows if found] == []
    outside = wanted | world.patient()
    assert hits(log, outside) == []
    assert [hits(each, outside) for each in sent if hits(each, outside)] == []
