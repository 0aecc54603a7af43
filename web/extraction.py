"""How Babel reads our Django templates: Django turns each into gettext calls, Babel's Python reader finds those.

Named in ``locale/babel.cfg``; the ways of working are in ``manage.py translations``.
"""

import io
import re
from collections.abc import Collection, Generator, Mapping
from typing import IO, Any

from babel.messages.extract import extract_python
from django.utils.translation.template import templatize

Found = tuple[Any, ...]


def templates(
    file: IO[bytes],
    keywords: Mapping[str, Any],
    comment_tags: Collection[str],
    options: Mapping[str, Any],
) -> Generator[Found, None, None]:
    """Babel extraction method for Django templates: yields (line, function, messages, comments)."""
    calls = re.sub(r"(?m)^[ \t]+", "", templatize(file.read().decode()))
    for number, line in enumerate(calls.splitlines(), start=1):
        if "gettext" in line or "_(" in line:
            found = extract_python(io.BytesIO(line.encode()), keywords, comment_tags, {"encoding": "utf-8"})
            for call in found:
                yield (number, *call[1:])
