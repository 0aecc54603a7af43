"""What a server refuses, or says isn't there, while something else has become true: nothing stays behind for it."""

from datetime import timedelta

from bench.fake_ehr import Answer, FakeEhr
from fhir_bridge import tasks
from fhir_bridge.connecting import partners
from fhir_bridge.models import Link, Partner
from fhir_bridge.outbound import pushing
from records import clock, store
from referrals.models import Handoff
from tests.fhir_bridge.story import Story, keep


def test_what_was_corrected_while_it_was_being_refused_goes_by_itself(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    request = store.get("ServiceRequest", str(handoff.loop.request_id))
    server = partners.connect(hospital)
    ehr.takes_bundles = False
    while (claimed := pushing.claim_some(hospital, 1)[0])[0].type != "ServiceRequest":
        pushing._carry(server, claimed[0], is_doubtful=claimed[1])
    keep({**request, "patientInstruction": "Corrected meanwhile."})
    with ehr.refusing(Answer(422), "POST", "ServiceRequest"):
        assert pushing._carry(server, claimed[0], is_doubtful=False) == Link.State.WANTED
    pushing.run_once(hospital)
    assert [one["patientInstruction"] for one in ehr.all("ServiceRequest")] == ["Corrected meanwhile."]


def test_what_a_gateway_says_is_gone_and_is_there_is_written_after_all(
    story: Story, hospital: Partner, ehr: FakeEhr
) -> None:
    handoff = story.refer()
    pushing.run_once(hospital)
    with ehr.refusing(Answer(404)):
        keep({**store.get("Task", handoff.pk), "note": [{"text": "Call first."}]})
        pushing.run_once(hospital)
    assert Link.objects.get(type="Task").state == Link.State.GONE
    ehr.skew = timedelta(hours=2)
    with clock.at(clock.now() + ehr.skew):
        tasks.reconcile_due(clock.now())
        tasks.pull(hospital.pk)
        pushing.run_once(hospital)
    assert [one["note"][0]["text"] for one in ehr.all("Task")] == ["Call first."]
    assert not Handoff.objects.filter(kind="mend-exchange", closed_at=None).exists()
