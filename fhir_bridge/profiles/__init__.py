"""What a partner reads and writes, against what we hold: each dialect a table, and the translations both ways. Pure.

`referrals` knows core alone (PATHWAYS §3): a partner's Task is translated by `inward` before it is received, our coding
put beside theirs and nothing removed, and `outward` says our stage in the partner's words. `towards` gives the next
version on the dialect's legal way from what the partner has to what we would write: one version per step.
"""

from collections.abc import Mapping

from fhir_bridge.profiles import au, bser, core, cow, gravity
from fhir_bridge.profiles.reading import inward
from fhir_bridge.profiles.table import Profile
from fhir_bridge.profiles.writing import next_status, outward, towards

PROFILES: Mapping[str, Profile] = {
    profile.name: profile for profile in (core.PROFILE, gravity.PROFILE, cow.PROFILE, bser.PROFILE, au.PROFILE)
}

__all__ = ["PROFILES", "Profile", "inward", "next_status", "outward", "towards"]
