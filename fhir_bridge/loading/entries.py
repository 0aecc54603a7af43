"""The resources of a file one by one, without ever holding the file: NDJSON by lines, a Bundle by its entries.

A Bundle is cut, not parsed: only strings and brackets are looked at, and each object in the list ``entry`` is handed out as
the bytes that it is. So an entry that can't be parsed spoils none of the others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from records.errors import Malformed
from records.parse import MAX_BYTES

CHUNK = 256 * 1024
# An entry has a little around its resource
MAX_ENTRY = MAX_BYTES + 1_000_000
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[\]{}]', re.DOTALL)
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
_ENTRIES_DEPTH = 2


@dataclass(slots=True)
class Head:
    """What a Bundle says of itself at its top, known once it was cut to its end."""

    is_bundle: bool = False
    type: str = ""

    @property
    def has_entries(self) -> bool:
        """Whether its entries are records, and not the Bundle itself."""
        return self.is_bundle and self.type not in {"document", "message"}


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines that hold something; one that is longer than any resource may be is cut short, and so refused later."""
    while line := stream.readline(MAX_ENTRY):
        whole = line
        while not line.endswith(b"\n") and (line := stream.readline(CHUNK)):
            continue  # the rest of a line that is too long
        if whole.strip():
            yield whole.strip()


def cut(stream: BinaryIO, head: Head) -> Iterator[bytes]:
    """The objects in the list ``entry`` of one JSON object; ``head`` is filled meanwhile. `Malformed` where it ends in the middle."""
    cutter = _Cutter(head)
    while chunk := stream.read(CHUNK):
        yield from cutter.feed(chunk)
    if cutter.depth or not cutter.was_object:
        raise Malformed("This is not a JSON object, or it ends in the middle.")


class _Cutter:
    """Where we are in the text: how deep, in which list, behind which key of the top object."""

    def __init__(self, head: Head) -> None:
        self.head, self.buffer, self.at = head, bytearray(), 0
        self.depth, self.was_object, self.in_entries = 0, False, False
        self.begin: int | None = None
        self.key = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The entries that end in what we have by now."""
        self.buffer += chunk
        for token in _TOKEN.finditer(self.buffer, self.at):
            if token[1] == b"":  # a string that goes on in the next piece
                break
            self.at = token.end()
            found = self._take(token[0], token.start())
            if found is not None:
                yield found
        self._forget()

    def _take(self, text: bytes, start: int) -> bytes | None:
        if text in _OPENING:
            self._open(text, start)
        elif text in _CLOSING:
            return self._close()
        elif self.depth == 1:
            self._note(text)
        return None

    def _open(self, text: bytes, start: int) -> None:
        self.depth += 1
        self.was_object |= self.depth == 1 and text == b"{"
        if self.depth == _ENTRIES_DEPTH and text == b"[" and self.key == b'"entry"':
            self.in_entries = True
        if self.depth == _ENTRIES_DEPTH + 1 and self.in_entries and text == b"{":
            self.begin = start

    def _close(self) -> bytes | None:
        self.depth -= 1
        if self.depth < 0:
            raise Malformed("This is not a JSON object.")
        if self.depth < _ENTRIES_DEPTH:
            self.in_entries = False
        if self.depth == _ENTRIES_DEPTH and self.begin is not None:
            entry, self.begin = bytes(self.buffer[self.begin : self.at]), None
            return entry
        return None

    def _note(self, text: bytes) -> None:
        """A string directly in the top object: a key, or the value of the one before."""
        before, self.key = self.key, text
        if before == b'"resourceType"' and text == b'"Bundle"':
            self.head.is_bundle = True
        if before == b'"type"':
            self.head.type = text.strip(b'"').decode("ascii", "replace")

    def _forget(self) -> None:
        """Let go of what was looked at, but for an entry that has begun."""
        keep = self.at if self.begin is None else self.begin
        if len(self.buffer) - keep > MAX_ENTRY:
            raise Malformed("An entry is larger than any resource may be.")
        del self.buffer[:keep]
        self.at -= keep
        if self.begin is not None:
            self.begin -= keep
