"""Everybody with an address switches the e-mail about overdue work off and on in the menu."""

from referrals.models import User
from tests.web.conftest import browser_of


def test_it_is_switched_off_and_on_where_one_is(ana: User) -> None:
    browser = browser_of(ana)
    assert 'action="/mail/"' not in browser.get("/").content.decode(), "without an address there is nothing to switch"
    User.objects.filter(pk=ana.pk).update(email="ana@hospital.example")
    assert 'name="wants" value="no"' in browser.get("/patients/").content.decode()
    answer = browser.post("/mail/", {"wants": "no", "next": "/patients/"})
    assert (answer.status_code, answer["Location"]) == (302, "/patients/")
    assert User.objects.get(pk=ana.pk).wants_mail is False
    assert 'name="wants" value="yes"' in browser.get("/patients/").content.decode()
    browser.post("/mail/", {"wants": "yes", "next": "https://elsewhere.example/"})
    assert User.objects.get(pk=ana.pk).wants_mail is True
    assert browser.post("/mail/", {"next": "https://elsewhere.example/"})["Location"] == "/"
