"""The region of the demo as tables: who is there, what they offer and how long one waits. No rules, no randomness.

Ids are words, so that a command or a test can name them (`partner add … --organization riverside-clinic`). The
hospitals' ids sort first, and `hospital-harbour` is the first of all.
"""

from dataclasses import dataclass

SNOMED = "http://snomed.info/sct"
SPECIALIST, LABORATORY, IMAGING = "referral", "laboratory", "imaging"


@dataclass(frozen=True, slots=True)
class Specialty:
    """A clinical specialty by its SNOMED CT code (FHIR value set c80-practice-codes)."""

    code: str
    display: str


@dataclass(frozen=True, slots=True)
class Service:
    """Something that can be asked for; ``wait_days`` is how long patients wait for it now."""

    key: str
    name: str
    specialty: str
    wait_days: int
    kind: str = SPECIALIST
    languages: tuple[str, ...] = ("en",)


@dataclass(frozen=True, slots=True)
class Place:
    """A root organisation. ``ours`` says that its people sign in here; without it, it is a directory entry only."""

    id: str
    short: str
    name: str
    city: str
    kind: str
    time_zone: str
    services: tuple[Service, ...]
    doctors: int = 0
    ours: bool = True
    languages: tuple[str, ...] = ("en",)

    @property
    def is_hospital(self) -> bool:
        """Hospitals have one department for each specialty; practices and laboratories have none."""
        return self.kind == "hospital"


SPECIALTIES: dict[str, Specialty] = {
    "cardiology": Specialty("394579002", "Cardiology"),
    "dermatology": Specialty("394582007", "Dermatology"),
    "endocrinology": Specialty("394583002", "Endocrinology"),
    "ent": Specialty("394604002", "Ear, nose and throat surgery"),
    "gastroenterology": Specialty("394584008", "Gastroenterology"),
    "general-practice": Specialty("394814009", "General practice"),
    "laboratory": Specialty("394596001", "Chemical pathology"),
    "neurology": Specialty("394591006", "Neurology"),
    "obstetrics": Specialty("394585009", "Obstetrics and gynaecology"),
    "ophthalmology": Specialty("394594003", "Ophthalmology"),
    "orthopaedics": Specialty("394801008", "Trauma and orthopaedics"),
    "paediatrics": Specialty("394537008", "Paediatric specialty"),
    "psychiatry": Specialty("394587001", "Psychiatry"),
    "pulmonology": Specialty("418112009", "Pulmonary medicine"),
    "radiology": Specialty("394914008", "Radiology"),
    "rehabilitation": Specialty("394602003", "Rehabilitation"),
}

HOSPITALS: tuple[Place, ...] = (
    Place(
        "hospital-harbour",
        "harbour",
        "Harbour General Hospital",
        "Port Ellery",
        "hospital",
        "America/New_York",
        (
            Service("cardiology", "Cardiology clinic", "cardiology", 12, languages=("en", "es", "ru")),
            Service("heart-failure", "Heart failure clinic", "cardiology", 6),
            Service("neurology", "Neurology clinic", "neurology", 28, languages=("en", "ru")),
            Service("orthopaedics", "Orthopaedic clinic", "orthopaedics", 21, languages=("en", "es")),
            Service("gastroenterology", "Gastroenterology clinic", "gastroenterology", 18),
            Service("endocrinology", "Diabetes and endocrine clinic", "endocrinology", 15, languages=("en", "es")),
            Service("imaging", "CT and MRI", "radiology", 5, IMAGING),
            Service("ultrasound", "Ultrasound", "radiology", 3, IMAGING),
            Service("laboratory", "Blood tests", "laboratory", 0, LABORATORY, ("en", "es", "ru")),
        ),
        doctors=6,
        languages=("en", "es", "ru"),
    ),
    Place(
        "hospital-northgate",
        "northgate",
        "Northgate University Hospital",
        "Northgate",
        "hospital",
        "America/Chicago",
        (
            Service("dermatology", "Dermatology clinic", "dermatology", 35, languages=("en", "es")),
            Service("skin-lesions", "Suspicious skin lesions, two-week clinic", "dermatology", 9),
            Service("ophthalmology", "Eye clinic", "ophthalmology", 24),
            Service("pulmonology", "Lung clinic", "pulmonology", 14, languages=("en", "ru")),
            Service("rehabilitation", "Rehabilitation", "rehabilitation", 10),
            Service("imaging", "CT and MRI", "radiology", 8, IMAGING),
            Service("laboratory", "Blood tests", "laboratory", 0, LABORATORY),
        ),
        doctors=5,
        languages=("en", "es"),
    ),
    Place(
        "hospital-southpark",
        "southpark",
        "Southpark Women's and Children's Hospital",
        "Southpark",
        "hospital",
        "America/New_York",
        (
            Service("obstetrics", "Obstetrics and gynaecology clinic", "obstetrics", 7, languages=("en", "es", "ru")),
            Service("paediatrics", "Children's clinic", "paediatrics", 5, languages=("en", "es", "ru")),
            Service("ent", "Ear, nose and throat clinic", "ent", 30),
            Service("psychiatry", "Mental health clinic", "psychiatry", 42, languages=("en", "es")),
            Service("imaging", "Ultrasound and X-ray", "radiology", 2, IMAGING),
            Service("laboratory", "Blood tests", "laboratory", 0, LABORATORY),
        ),
        doctors=5,
        languages=("en", "es"),
    ),
)


def _practice(short: str, name: str, city: str, time_zone: str, wait_days: int, *languages: str) -> Place:
    visits = Service("visits", "Visits at the practice", "general-practice", wait_days, languages=("en", *languages))
    return Place(
        f"practice-{short}",
        short,
        name,
        city,
        "practice",
        time_zone,
        (visits,),
        doctors=1,
        languages=("en", *languages),
    )


PRACTICES: tuple[Place, ...] = (
    _practice("alder", "Alder Street Family Practice", "Port Ellery", "America/New_York", 2, "es"),
    _practice("bayview", "Bayview Medical Centre", "Port Ellery", "America/New_York", 3, "ru"),
    _practice("cedar", "Cedar Hill Surgery", "Northgate", "America/Chicago", 1),
    _practice("dolores", "Clínica Dolores", "Southpark", "America/New_York", 4, "es"),
    _practice("elm", "Elm Park Health", "Northgate", "America/Chicago", 2, "es"),
    _practice("fontanka", "Fontanka Family Clinic", "Southpark", "America/New_York", 3, "ru"),
)

# Nobody of these signs in here: they take part over FHIR (`manage.py partner add`) or by telephone.
EXTERNAL: tuple[Place, ...] = (
    Place(
        "riverside-clinic",
        "riverside",
        "Riverside Clinic",
        "Riverside",
        "clinic",
        "America/New_York",
        (
            Service("cardiology", "Riverside cardiology", "cardiology", 4, languages=("en", "es")),
            Service("imaging", "Riverside imaging", "radiology", 1, IMAGING),
            Service("laboratory", "Riverside laboratory", "laboratory", 0, LABORATORY),
            Service("visits", "Riverside follow-up visits", "general-practice", 2),
        ),
        ours=False,
    ),
    Place(
        "summit-eye-centre",
        "summit",
        "Summit Eye Centre",
        "Northgate",
        "clinic",
        "America/Chicago",
        (Service("ophthalmology", "Cataract and retina clinic", "ophthalmology", 11),),
        ours=False,
    ),
)

OURS: tuple[Place, ...] = HOSPITALS + PRACTICES
PLACES: tuple[Place, ...] = OURS + EXTERNAL


def service_id(place: Place, service: Service) -> str:
    """The id of the HealthcareService, such as ``harbour-cardiology``."""
    return f"{place.short}-{service.key}"


def department_id(place: Place, specialty: str) -> str:
    """The id of the Organization that gives a specialty's services: a hospital's department, else the place itself."""
    return f"{place.short}-{specialty}-department" if place.is_hospital else place.id


def location_id(place: Place) -> str:
    """The id of the place's one Location."""
    return f"{place.short}-site"
