"""Everything that HL7 and real projects show as FHIR R4 goes in and comes back unchanged, or is refused by name.

What is refused is listed here with the reason; HL7's own definitions (tools/fhir-validate of the shared data) find the
same files invalid, and no file that they find valid is refused.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from records import store, validation
from records.access import SYSTEM
from records.bundles import is_kept_whole
from records.errors import BatonError
from records.json import Resource
from records.types import row_class

pytestmark = pytest.mark.django_db

LIMIT = 20_000_000
MAX_BUNDLE = 1_000_000  # the larger ones repeat what is in files of their own
INVALID_EXAMPLES = {
    "Observation-clinical-gender.json": "Observation.performer[0].reference",  # an Encounter can't perform
    "Questionnaire-qs1.json": "Questionnaire.item[0].item[0].linkId",  # required, and missing 64 times
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": "SearchParameter.id",
}
COMMANDS = {"Bundle-bundle-transaction.json": "Bundle.entry[5].resource"}  # it deletes, which is not for a store to do
FOLDERS = ("bser", "gravity-sdoh", "au-erequesting", "cdex", "us-core")


def lexical(text: str | bytes) -> Any:
    """JSON with every number as the characters that were written, apart from what the server sets in meta."""
    content = json.loads(
        text, parse_float=lambda number: ["number", number], parse_int=lambda number: ["number", number]
    )
    meta = {key: value for key, value in content.pop("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    return content | ({"meta": meta} if meta else {})


def of_type(files: Iterable[Path]) -> Iterator[tuple[str, list[tuple[Path, bytes]]]]:
    """The files of each type, in pieces."""
    piece: list[tuple[Path, bytes]] = []
    kind = ""
    for path in sorted(files, key=lambda file: file.name):
        raw = path.read_bytes()
        found = json.loads(raw)["resourceType"]
        if piece and (found != kind or len(piece) == 200):
            yield kind, piece
            piece = []
        kind = found
        piece.append((path, raw))
    yield kind, piece


class Reception:
    """Takes files in, and keeps count of what came back and what was refused."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: dict[str, str] = {}

    def checked(self, pieces: list[tuple[Path, bytes]]) -> Iterator[tuple[Path, bytes, Resource]]:
        for path, raw in pieces:
            body = store.parse(raw, limit=LIMIT)
            try:
                validation.check(body)
            except BatonError as error:
                self.refused[path.name] = error.issues[0].expression
            else:
                yield path, raw, body

    def take(self, pieces: list[tuple[Path, bytes]]) -> None:
        """Write the resources and compare each with what a read gives."""
        accepted = list(self.checked(pieces))
        if not accepted:
            return
        written = store.write_many([body for _path, _raw, body in accepted], actor=SYSTEM)
        rows = row_class(written[0].type).rows(written[0].type).filter(id__in=[item.id for item in written])
        kept = dict(rows.values_list("id", "body"))
        for (path, raw, _body), item in zip(accepted, written, strict=True):
            assert lexical(kept[item.id]) == {"id": item.id} | lexical(raw), path.name
            self.counts[item.type] += 1

    def unpack(self, path: Path, raw: bytes) -> None:
        """Take a Bundle's entries in and compare them all, references aside, which now lead here."""
        bundle = store.parse(raw, limit=LIMIT)
        try:
            written = store.put_bundle(bundle, actor=SYSTEM)
        except BatonError as error:
            self.refused[path.name] = error.issues[0].expression
            return
        sent = Counter(comparable(entry["resource"]) for entry in json.loads(raw)["entry"] if "resource" in entry)
        kept = Counter(comparable(json.loads(item.body)) for item in written)
        assert not kept - sent, path.name
        assert all("urn:uuid:" not in reference for item in written for reference in references(item.body)), path.name
        self.counts["entry of a Bundle"] += len(written)

    def receive(self, files: Iterable[Path]) -> None:
        """Take files of any type in, type by type."""
        for kind, pieces in of_type(files):
            bundles = [(path, raw) for path, raw in pieces if kind == "Bundle" and not is_whole(raw)]
            for path, raw in bundles:
                if len(raw) < MAX_BUNDLE:
                    self.unpack(path, raw)
            self.take([piece for piece in pieces if piece not in bundles])

    def tell(self, capsys: pytest.CaptureFixture[str], what: str) -> None:
        lines = [f"\n{what}: {sum(self.counts.values())} in ({len(self.counts)} kinds), {len(self.refused)} refused"]
        lines += [f"  refused {name}: {element}" for name, element in sorted(self.refused.items())]
        with capsys.disabled():
            sys.stdout.write("\n".join(lines) + "\n")


def references(text: str) -> list[str]:
    return [value for value in strings(json.loads(text), "reference") if isinstance(value, str)]


def strings(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (value[key] for _ in range(key in value))
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from strings(item, key)


def comparable(resource: Any) -> str:
    """One text for the content but its ids, meta and references."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key != "reference"}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return json.dumps(
        strip({key: value for key, value in resource.items() if key not in ("id", "meta")}), sort_keys=True
    )


def is_whole(raw: bytes) -> bool:
    return is_kept_whole(json.loads(raw))


def test_every_example_of_hl7_comes_back_as_it_was(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reception = Reception()
    reception.receive(path for path in examples.glob("*-*.json") if path.name != "package-lock.json")
    reception.tell(capsys, "HL7's R4 examples")
    assert reception.refused == INVALID_EXAMPLES | COMMANDS
    assert row_class("Task").rows("Task").count() >= 12


def test_every_file_of_the_guides_comes_back_as_it_was(fixtures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reception = Reception()
    reception.receive(path for folder in FOLDERS for path in (fixtures / "data" / folder).glob("*.json"))
    reception.tell(capsys, "Guides")
    assert reception.refused == {}


def test_a_synthetic_region_comes_in_with_all_its_references(
    fixtures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reception = Reception()
    folder = fixtures / "data" / "synthea"
    directory = [next(folder.glob(f"{name}*.gz")) for name in ("hospitalInformation", "practitionerInformation")]
    for path in [*directory, *sorted(set(folder.glob("*.gz")) - set(directory))[:4]]:
        reception.unpack(path, gzip.decompress(path.read_bytes()))
    reception.tell(capsys, "Synthea")
    assert reception.refused == {}
    encounters = row_class("Encounter").rows("Encounter")
    assert encounters.exists()
    for patient in encounters.values_list("patient", flat=True).distinct():
        assert row_class("Patient").rows("Patient").filter(id=patient).exists()
