"""The files of a first load: Bundles and NDJSON are cut into resources wherever their pieces end, in bounded memory."""

import io
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fhir_bridge.loading import entries
from records.errors import Malformed


def pieces(stream: io.BytesIO, size: int) -> io.BytesIO:
    class Slow(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            return super().read(size)

    return Slow(stream.getvalue())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab{}[]"\\,:é\n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("entry"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    held=st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=6),
    around=st.dictionaries(st.sampled_from(["link", "total", "id", "meta"]), VALUES),
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
)
def test_a_bundle_is_cut_into_its_entries_wherever_the_pieces_end(
    held: list[dict[str, Any]], around: dict[str, Any], size: int, indent: int | None
) -> None:
    text = json.dumps({"resourceType": "Bundle", **around, "type": "collection", "entry": held}, indent=indent)
    head = entries.Head()
    found = [json.loads(each) for each in entries.cut(pieces(io.BytesIO(text.encode()), size), head)]
    assert found == held
    assert (head.is_bundle, head.type) == (True, "collection")


@pytest.mark.parametrize("text", [b"", b"[]", b'{"entry": [{}', b"}", b'{"entry": [{"a": "', b"nonsense"])
def test_what_is_no_object_or_breaks_off_is_told(text: bytes) -> None:
    with pytest.raises(Malformed):
        list(entries.cut(io.BytesIO(text), entries.Head()))


def test_a_line_longer_than_any_resource_is_cut_short_and_the_next_one_is_whole() -> None:
    long = b"x" * (entries.MAX_ENTRY + 10)
    found = list(entries.lines(io.BytesIO(long + b"\n\n{}\n{}")))
    assert [len(each) for each in found] == [entries.MAX_ENTRY, 2, 2]
