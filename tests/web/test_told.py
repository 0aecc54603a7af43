"""What a worker has kept of its troubles is said in the reader's language; no sentence of the exchange is forgotten."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from web import told

ROOMS = ("connecting", "inbound", "outbound", "pending", "sharing")
WHO = {"who": ("The partner", "The authorisation server"), "WHO": ("The authorisation server",)}


def sentences() -> Iterator[tuple[str, str]]:
    """What the rooms of the exchange raise in plain English, each with an example in its places, and where."""
    for room in ROOMS:
        for file in sorted((Path(settings.BASE_DIR) / "fhir_bridge" / room).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                    texts = _example(node.exc.args[0])
                    yield from ((text, file.name) for text in texts if text.strip("x "))  # the rest others have said


def _example(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if not isinstance(node, ast.JoinedStr):
        return []
    texts = [""]
    for part in node.values:
        inner = part.value if isinstance(part, ast.FormattedValue) else part
        name = inner.id if isinstance(inner, ast.Name) else ""
        fillings = (str(inner.value),) if isinstance(inner, ast.Constant) else WHO.get(name, ("x",))
        texts = [text + filling for text in texts for filling in fillings]
    return texts


@pytest.mark.parametrize(("text", "file"), sorted(set(sentences())))
def test_every_sentence_of_the_exchange_is_known(text: str, file: str) -> None:
    assert told._known(text)[0], f"{file} says what web/told.py doesn't know"


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("The partner can't be reached.", "No se puede contactar con el socio."),
        ("The partner answered 503.", "El socio respondió 503."),
        ("The partner answered 422: invalid Task.owner.", "El socio respondió 422: invalid Task.owner."),
        ("Something else.", "Something else."),
    ],
)
def test_it_is_said_in_the_language_of_the_page(kept: str, said: str) -> None:
    with translation.override("es"):
        assert told.in_words(kept) == said
    with translation.override("en"):
        assert told.in_words(kept) == kept


def test_what_is_told_within_is_told_in_the_same_language() -> None:
    with translation.override("ru"):
        words = told.in_words("Patients of whom no Task can be read: 3. The partner answered 500.")
    assert "partner" not in words
    assert "Task" in words
