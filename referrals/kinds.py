"""Which loop a ServiceRequest asks for: the table of the codes that we know.

``code`` says more than ``category``, so it is read first: a request of the category *referral* whose code is a
follow-up visit is a follow-up. What no row names stays a record (PATHWAYS §1).
"""

import re
from collections.abc import Iterator

from records.json import Resource

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ADVICE = "advice"
"""The code of a category, in our own code system or a partner's: advice is wanted, no visit."""
US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
DIAGNOSTIC_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"

REFERRAL = "3457005"
"""SNOMED CT *Patient referral (procedure)*; what Baton writes on its own referrals."""
FOLLOW_UP = "390906007"
"""SNOMED CT *Follow-up encounter (procedure)*; what Baton writes on its own follow-ups."""
LABORATORY = "108252007"
"""SNOMED CT *Laboratory procedure (procedure)*, of the R4 value set servicerequest-category."""
IMAGING = "363679005"
"""SNOMED CT *Imaging (procedure)*, of the R4 value set servicerequest-category."""

# eCQM value set "Referral", 2.16.840.1.113883.3.464.1003.101.12.1046, expansion of May 2020: what CMS50 counts.
CMS_REFERRALS = """
103696004 103697008 103698003 103699006 103704003 183515008 183517000 183528001 183529009 183530004 183541002 183555005
183557002 183561008 183567007 183569005 183583007 183591003 183878008 183879000 183880002 183881003 183882005 183884006
183885007 183886008 183887004 183888009 183889001 183890005 183891009 183892002 183893007 183894001 183895000 183896004
183897008 183899006 183900001 183901002 183902009 183903004 183904005 183905006 183906007 183907003 183908008 183909000
183910005 183911009 183913007 183914001 183915000 183916004 266747000 274410002 306241009 306242002 306243007 306245000
306247008 306250006 306252003 306253008 306254002 306255001 306256000 306257009 306258004 306259007 306260002 306261003
306262005 306263000 306264006 306265007 306266008 306267004 306268009 306269001 306270000 306271001 306272008 306273003
306275005 306276006 306277002 306278007 306279004 306280001 306281002 306282009 306284005 306285006 306286007 306287003
306288008 306289000 306290009 306291008 306293006 306294000 306295004 306296003 306297007 306298002 306299005 306300002
306301003 306302005 306303000 306304006 306305007 306306008 306307004 306308009 306309001 306310006 306311005 306312003
306313008 306314002 306315001 306316000 306317009 306318004 306320001 306338003 306341007 306342000 306343005 306351008
306352001 306353006 306354000 306355004 306356003 306357007 306358002 306359005 306360000 306361001 306736002 307063001
307777008 308439003 308447003 308449000 308450000 308451001 308452008 308453003 308454009 308455005 308456006 308459004
308465004 308469005 308470006 308471005 308472003 308473008 308474002 308475001 308476000 308477009 308478004 308479007
308480005 308481009 308482002 308483007 308484001 308485000 309046007 309623006 309626003 309627007 309629005 310515004
312487009 312488004 390866009 401266006 406158007 406159004 408285001 415277000 416116000 416999007 425971006 428441000124100
428451000124103 428461000124101 428471000124108 428481000124106 428491000124109 428541000124104 429365000 433151006
448761000124106 448771000124104 54395008 698563003 698599008 703974003 703975002 703976001 716634006
"""
REFERRAL_CODES = frozenset(
    {
        REFERRAL,
        "306206005",  # Referral to service
        "410606002",  # Social service procedure: Gravity SDOH and US Core
        "409063005",  # Counselling, 409073007 Education, 387713003 Surgical procedure: R4 servicerequest-category
        "409073007",
        "387713003",
        "313204009",  # Lifestyle education: BSeR
        *CMS_REFERRALS.split(),
    }
)
FOLLOW_UP_CODES = frozenset(
    {
        FOLLOW_UP,
        "185389009",  # Follow-up visit
        "281036007",  # Follow-up consultation
        "439740005",  # Postoperative follow-up visit
    }
)
TEST_ORDER_CODES = frozenset(
    {
        LABORATORY,
        IMAGING,
        "386053000",  # Evaluation procedure: US Core
        "103693007",  # Diagnostic procedure
        "15220000",  # Laboratory test
    }
)

KINDS: dict[tuple[str, str], str] = {
    **{(SNOMED, code): "referral" for code in REFERRAL_CODES},
    **{(SNOMED, code): "follow-up" for code in FOLLOW_UP_CODES},
    **{(SNOMED, code): "test-order" for code in TEST_ORDER_CODES},
    (US_CORE_CATEGORY, "sdoh"): "referral",
    (US_CORE_CATEGORY, "functional-status"): "referral",
    **{
        (DIAGNOSTIC_SECTION, code): "test-order"
        for code in ("LAB", "RAD", "HM", "CH", "MB", "PAT", "SP", "CP", "IMM", "RUS", "CT", "NMR", "EC", "CUS", "GE")
    },
}

_TERM = re.compile(r"\d{1,7}-\d", re.ASCII)


def kind_of(request: Resource) -> str:
    """`referral`, `follow-up` or `test-order`; an empty text when no coding of the request is in the table.

    What a LOINC term codes as ordered is an observation to be made: a test order without any category. An answer of
    LOINC (LA…) is none.
    """
    known = next((KINDS[coding] for coding in _codings(request) if coding in KINDS), "")
    known = known or ("referral" if is_advice(request) else "")
    ordered = request.get("code", {}).get("coding", ())
    is_observable = any(one.get("system") == LOINC and _TERM.fullmatch(one.get("code", "")) for one in ordered)
    return known or ("test-order" if is_observable else "")


def is_advice(request: Resource) -> bool:
    """Whether only advice is asked for: a category whose code is *advice*, in whichever system (PATHWAYS §5)."""
    codings = (coding for one in request.get("category", ()) for coding in one.get("coding", ()))
    return any(coding.get("code") == ADVICE for coding in codings)


def _codings(request: Resource) -> Iterator[tuple[str, str]]:
    for concept in (request.get("code") or {}, *request.get("category", ())):
        for coding in concept.get("coding", ()):
            yield coding.get("system", ""), coding.get("code", "")
