"""Who signs in, in which roles, on whose lists; and the calendars that the clocks run by."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.utils.crypto import salted_hmac

from demo.region import HOSPITALS, OURS, PRACTICES, Place
from demo.staff import ROLES, Employee
from referrals import people
from referrals.models import Calendar, Membership, Owner, Pool, User

SHOWN_PLACES = (PRACTICES[0], HOSPITALS[0])
SHOWN_POSTS = ("doctor", "coordinator", "supervisor")


@dataclass(frozen=True, slots=True)
class Login:
    """One line of the table that is shown after loading."""

    role: str
    organisation: str
    username: str
    password: str


def password() -> str:
    """The one password of all demo users: made from this installation's secret key, so never the same elsewhere."""
    return f"baton-{salted_hmac('baton.demo', 'password').hexdigest()[:8]}"


def logins() -> list[Login]:
    """A doctor, a coordinator and a supervisor of a practice and of a hospital; every other login follows the same rule."""
    return [
        Login(post, place.name, f"{place.short}.{post}", password()) for place in SHOWN_PLACES for post in SHOWN_POSTS
    ]


def open_accounts(staff: Iterable[Employee]) -> dict[str, User]:
    """Make the users and their memberships, and return them by user name. One hash serves all, as all share a password."""
    employees = list(staff)
    secret = make_password(password())
    users = User.objects.bulk_create(_user(employee, secret) for employee in employees)
    Membership.objects.bulk_create(
        Membership(user=user, organization=employee.place.id, roles=sorted(ROLES[employee.post]))
        for user, employee in zip(users, employees, strict=True)
    )
    return {user.username: user for user in users}


def _user(employee: Employee, secret: str) -> User:
    return User(
        username=employee.username,
        password=secret,
        first_name=" ".join(employee.person.given),
        last_name=employee.person.family,
        email=f"{employee.username}@example.org",
        practitioner=employee.practitioner,
        time_zone=employee.place.time_zone,
    )


def open_pools(users: dict[str, User]) -> dict[str, Pool]:
    """One coordination pool for each of our organisations, overseen by its supervisor; by organisation id."""
    return {place.id: _pool(place, users) for place in OURS}


def _pool(place: Place, users: dict[str, User]) -> Pool:
    supervisor = people.owner_for(
        Owner.Kind.PERSON, users[f"{place.short}.supervisor"].practitioner, organization=place.id
    )
    return people.create_pool(
        place.id,
        f"{place.name} – {'referral desk' if place.is_hospital else 'coordination'}",
        members=[users[f"{place.short}.{post}"] for post in ("coordinator", "supervisor")],
        supervisor=supervisor,
        is_default=True,
    )


def keep_calendars() -> None:
    """Working days by the public holidays of the country, in each organisation's own time zone."""
    Calendar.objects.bulk_create(
        Calendar(organization=place.id, time_zone=place.time_zone, country="US") for place in OURS
    )
