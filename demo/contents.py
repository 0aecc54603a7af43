"""What the demo's practitioners write: reasons for each specialty, tests with results, and what reports say."""

from collections.abc import Mapping
from dataclasses import dataclass

from demo.region import IMAGING, LABORATORY


@dataclass(frozen=True, slots=True)
class Test:
    """A test by its LOINC code; ``values`` are results that are normal, abnormal and critical, in ``unit`` (UCUM)."""

    __test__ = False
    name: str
    loinc: str
    kind: str = LABORATORY
    unit: str = ""
    values: Mapping[str, str] | None = None


def _values(normal: str, abnormal: str, critical: str) -> Mapping[str, str]:
    return {"normal": normal, "abnormal": abnormal, "critical": critical}


REASONS: Mapping[str, tuple[str, ...]] = {
    "cardiology": (
        "Chest tightness on exertion for six weeks. Is this angina?",
        "Palpitations with two near faints. Rhythm disorder?",
        "New heart murmur, breathless on stairs. Valve disease?",
    ),
    "dermatology": (
        "Changing mole on the left calf, 8 mm. Melanoma?",
        "Psoriasis that no longer responds to ointments. Systemic treatment?",
    ),
    "endocrinology": (
        "HbA1c of 9.8 % on three tablets. Start insulin?",
        "Thyroid nodule of 2 cm. Does it need a biopsy?",
    ),
    "ent": (
        "Hearing loss on one side for three months. Cause?",
        "Recurrent tonsillitis, six times in a year. Operate?",
    ),
    "gastroenterology": (
        "Weight loss and iron deficiency. Please look for a source of bleeding.",
        "Reflux for years despite treatment. Endoscopy?",
    ),
    "general-practice": (
        "Blood pressure check after a change of tablets.",
        "Review two weeks after pneumonia.",
        "Wound check after discharge.",
        "Diabetes review with foot examination.",
    ),
    "neurology": (
        "Tremor of the right hand, slower gait. Parkinson's disease?",
        "Migraine eight days a month. Preventive treatment?",
    ),
    "obstetrics": (
        "Pregnant, 12 weeks, twin pregnancy. Please take over care.",
        "Heavy periods with anaemia. Options?",
    ),
    "ophthalmology": ("Clouded vision in both eyes. Cataract?", "Diabetes for ten years. Retina check, please."),
    "orthopaedics": (
        "Knee gives way since a fall. Meniscus tear?",
        "Hip pain at night, walks with a stick. Joint replacement?",
    ),
    "paediatrics": (
        "Poor weight gain since the summer. Cause?",
        "Wheezing every winter. Is it asthma, and which inhaler?",
    ),
    "psychiatry": ("Low mood for four months, no response to treatment. Assessment, please.",),
    "pulmonology": ("Cough for ten weeks, ex-smoker. Chest CT and opinion, please.", "Sleepy by day, snores. Apnoea?"),
    "rehabilitation": ("Stroke three months ago, weak left arm. Rehabilitation, please.",),
}

TESTS: tuple[Test, ...] = (
    Test("Potassium", "2823-3", unit="mmol/L", values=_values("4.10", "5.60", "6.80")),
    Test("Haemoglobin A1c", "4548-4", unit="%", values=_values("5.40", "8.20", "13.90")),
    Test("Haemoglobin", "718-7", unit="g/dL", values=_values("13.8", "10.2", "6.1")),
    Test("Creatinine", "2160-0", unit="mg/dL", values=_values("0.92", "1.85", "6.40")),
    Test("Thyrotropin", "3016-3", unit="m[IU]/L", values=_values("1.92", "7.80", "0.01")),
    Test("Chest X-ray, two views", "36643-5", IMAGING),
    Test("Ultrasound of the abdomen", "24558-9", IMAGING),
    Test("MRI of the brain", "24590-2", IMAGING),
)

TEST_REASONS = (
    "Control after a change of treatment.",
    "Fatigue for two months.",
    "Before an operation.",
    "Yearly check.",
)
CONCLUSIONS: Mapping[str, str] = {
    "normal": "Nothing abnormal. No further tests needed.",
    "abnormal": "Outside the reference range. Please check again within two weeks.",
    "critical": "Critical value. Please act today; the laboratory has telephoned.",
}
NOTE = (
    "Thank you for sending this patient. History and findings support the working diagnosis. "
    "Recommended: continue treatment, control in three months, come back at once if it gets worse."
)
