"""Everything that a person reads is there in English, Spanish and Russian."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client

from referrals.models import User
from tests.web.conftest import Story
from web.management.commands.translations import languages, write_template

ADDRESSES = (
    "/",
    "/patients/",
    "/new/referral/patient/",
    "/new/follow-up/patient/",
    "/new/test-order/patient/",
    "/sync/",
)
LANGUAGES = ["en", *languages()]
WORKLIST = {"en": "Worklist", "es": "Lista de trabajo", "ru": "Рабочий список"}
SLOT = re.compile(r"%\(\w+\)[sd]")


def catalogue(language: str) -> Catalog:
    with Path(settings.LOCALE_PATHS[0], language, "LC_MESSAGES", "django.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(held: Catalog) -> list[Message]:
    return [message for message in held if message.id]


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text or ""] if text is None or isinstance(text, str) else list(text)


def key(message: Message) -> tuple[str, str]:
    return message.context or "", str(forms(message.id)[0])


@pytest.mark.parametrize("language", languages())
def test_every_string_has_its_translation_and_none_is_a_guess(language: str, tmp_path: Path) -> None:
    write_template(tmp_path / "all.pot")
    with (tmp_path / "all.pot").open("rb") as file:
        said = {key(message) for message in messages(read_po(file))}
    held = {key(message): message for message in messages(catalogue(language))}

    assert sorted(said - held.keys()) == [], "run `manage.py translations extract` and translate what is new"
    assert [name for name, message in held.items() if message.fuzzy or not all(forms(message.string))] == []


@pytest.mark.parametrize("language", languages())
def test_a_translation_has_the_same_slots_as_the_original(language: str) -> None:
    for message in messages(catalogue(language)):
        wanted = set(SLOT.findall(forms(message.id)[-1]))
        for text in forms(message.string):
            assert set(SLOT.findall(text)) == wanted, message.id


@pytest.mark.parametrize("language", languages())
def test_the_direction_of_a_list_is_another_word_than_the_stage(language: str) -> None:
    direction, stage = catalogue(language).get("sent", "direction"), catalogue(language).get("sent")

    assert direction is not None
    assert stage is not None
    assert direction.string != stage.string


def test_russian_counts_as_russians_do() -> None:
    message = catalogue("ru").get("%(count)d year")

    assert message is not None
    assert catalogue("ru").num_plurals == 3
    assert forms(message.string) == ["%(count)d год", "%(count)d года", "%(count)d лет"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_the_readers_language(as_clara: Client, clara: User, story: Story, language: str) -> None:
    User.objects.filter(pk=clara.pk).update(language=language)
    loop = f"/loops/{story.loop.id}/"

    for address in (*ADDRESSES, loop, f"/patients/{story.loop.patient_id}/", "/loops/nothing/"):
        page = as_clara.get(address).content.decode()
        assert f'<html lang="{language}">' in page, address
        assert WORKLIST[language] in page or "/nothing/" in address, address


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sign_in_page_speaks_the_browsers_language(language: str) -> None:
    page = Client().get("/sign-in/", headers={"accept-language": language}).content.decode()

    assert f'<html lang="{language}">' in page
