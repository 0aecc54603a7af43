"""What a performer's Task says against itself (PATHWAYS §3, Reading a partner)."""

from django.conf import settings

from records.json import Resource
from referrals.pathways import STAGES


def contradiction_in(said: Resource) -> str:
    """The stage that its businessStatus names although its status doesn't allow it; empty for none.

    The status wins, and what was said is kept: it is only shown.
    """
    ours = f"{settings.BATON_BASE_URL}/CodeSystem/stage"
    codes = (one.get("code") for one in said.get("businessStatus", {}).get("coding", ()) if one.get("system") == ours)
    stages = [STAGES["fulfil", code] for code in codes if ("fulfil", code) in STAGES]
    return next((stage.code for stage in stages if said.get("status") not in stage.reads), "")
