"""Compiles the translations. The compiled files are not in git: they follow from the written ones."""

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def compile_all(folder: Path) -> list[Path]:
    """Compile every ``LOCALE/LC_MESSAGES/*.po`` that is newer than its ``.mo``; return those that were."""
    changed = [source for source in sorted(folder.glob("*/LC_MESSAGES/*.po")) if _is_newer(source)]
    for source in changed:
        with source.open("rb") as text:
            catalogue = read_po(text, locale=source.parent.parent.name)
        draft = source.with_suffix(".mo.new")
        with draft.open("wb") as compiled:
            write_mo(compiled, catalogue)
        draft.replace(source.with_suffix(".mo"))
    return changed


def _is_newer(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime
