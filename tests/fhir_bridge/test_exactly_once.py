"""Whatever a partner does while it is read, each change that it made is applied exactly once."""

from collections import Counter
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from django.db import transaction
from hypothesis import HealthCheck, Phase, example, given, settings

from bench.fake_ehr import FakeEhr
from bench.fake_ehr.moods import script
from fhir_bridge.inbound import applying, polling
from fhir_bridge.models import Inbox, Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, errors, store
from tests.fhir_bridge.story import Story

# What may happen to a request of a reader
FAULTS = (
    *("", "", "", "429", "503", "500-before", "500-after", "dropped", "truncated", "html", "outcome", "empty"),
    *("expired-next", "duplicates", "foreign-next", "wrong-type", "endless"),
)
WRITES = st.tuples(st.just("write"), st.integers(0, 5), st.integers(0, 550))
READS = st.tuples(st.just("read"), st.lists(st.sampled_from(FAULTS), max_size=6), st.booleans())
PASSES = st.tuples(st.just("wait"), st.integers(1, 400), st.none())
APPLIES = st.tuples(st.just("apply"), st.none(), st.none())
STEPS = st.lists(st.one_of(WRITES, WRITES, READS, PASSES, APPLIES), min_size=3, max_size=12)


class Play:
    """The hospital writes about Ana's request, and we read; ``now`` is the instant of both, but for the skew."""

    def __init__(self, ehr: FakeEhr, partner: Partner, skew: int) -> None:
        self.ehr, self.partner, self.now = ehr, partner, clock.now()
        self.request = Link.objects.get(type="ServiceRequest").remote_id
        self.skew = timedelta(seconds=skew)
        self.passed = timedelta()
        ehr.skew, ehr.page, ehr.shifts, ehr.shelf.tick = self.skew, 2, True, timedelta()

    def step(self, what: str, first: Any, second: Any) -> None:
        getattr(self, f"_{what}")(first, second)

    def _write(self, number: int, late: int) -> None:
        based_on = [{"reference": f"ServiceRequest/{self.request}"}]
        body = {"resourceType": "Observation", "id": f"o{number}", "status": "final", "basedOn": based_on}
        told = len(self.ehr.store.get(("Observation", f"o{number}"), ()))
        is_first = told == 0  # of a resource that is known, the newest version bears the newest time
        self.ehr.put(body | {"code": {"text": f"{number}-{told}"}}, timedelta(seconds=late if is_first else 0))

    def _wait(self, seconds: int, _none: None) -> None:
        self.passed += timedelta(seconds=seconds)
        self.ehr.skew = self.skew + self.passed

    def _read(self, faults: list[str], up_to_now: bool) -> None:
        Partner.objects.update(not_before_at=None, failures=0, probe_until=None, state=Partner.State.ACTIVE)
        self.partner.refresh_from_db()
        with self.ehr.moody(script(*faults)), clock.at(self.now + self.passed):
            try:
                polling.poll(self.partner, up_to_now=up_to_now)
            except errors.BatonError:
                if not faults:
                    raise

    def _apply(self, _none: None, _nothing: None) -> None:
        with clock.at(self.now + self.passed):
            applying.apply_pending(self.partner)

    def end(self) -> None:
        """Two deep readings without faults."""
        for _time in range(2):
            self._wait(400, None)
            self._read([], up_to_now=False)
        self._apply(None, None)


@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(steps=[("write", 0, 503), ("read", ["expired-next", "429"], True), ("write", 3, 0)], skew=-300)
@given(steps=STEPS, skew=st.sampled_from([-300, 0, 300]))
def test_each_change_is_applied_exactly_once(
    story: Story, hospital: Partner, ehr: FakeEhr, steps: list[tuple[str, Any, Any]], skew: int
) -> None:
    before = ehr.shelf.snapshot()
    try:
        with transaction.atomic():
            story.refer()
            pushing.run_once(hospital)
            play = Play(ehr, hospital, skew)
            for step in steps:
                play.step(*step)
            play.end()
            _everything_is_here_once(ehr)
            transaction.set_rollback(True)
    finally:
        ehr.shelf.rewind(before)
        ehr.shelf.at = before.at  # the next example's clock may be far behind this one's
        ehr.skew = timedelta()


def _everything_is_here_once(ehr: FakeEhr) -> None:
    applied = Counter(Inbox.objects.filter(state="applied").values_list("remote_id", "version_id"))
    assert set(applied.values()) <= {1}
    newest = {each["id"]: each for each in ehr.all("Observation")}
    links = {link.remote_id: link for link in Link.objects.filter(type="Observation")}
    assert set(links) == set(newest)
    for id_, theirs in newest.items():
        ours = store.get("Observation", links[id_].local_id)
        assert ours["code"] == theirs["code"]
        assert applied[id_, theirs["meta"]["versionId"]] == 1
        assert int(ours["meta"]["versionId"]) == sum(number for (of, _v), number in applied.items() if of == id_)
