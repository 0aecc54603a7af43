#!/usr/bin/env python3
"""Size budgets of the house: the tail is what explodes, so the tail is what is measured.

Prints one line for each place that is over its budget, with the reason for the budget; exit status 1 if there is one.
Migrations are generated and not measured; tests have the file's budget alone.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES, FUNCTION_LINES = 400, 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Measure every Python file that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    paths = [Path(name) for name in sorted(set(listed)) if "migrations" not in name and (ROOT / name).exists()]
    found = [line for path in paths for line in over_budget(path)]
    print("\n".join([*found, f"budgets: {len(paths)} files, {len(found)} over"]))
    return 1 if found else 0


def over_budget(path: Path) -> Iterator[str]:
    """The complaints about one file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}:1: {lines} lines, {FILE_LINES} allowed: split it by what its readers come for"
    if path.parts[0] == "tests":
        return
    for function in functions(ast.parse(text)):
        yield from _complaints(path, function)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def _complaints(path: Path, function: Function) -> Iterator[str]:
    size = (function.end_lineno or function.lineno) - function.lineno + 1
    if size > FUNCTION_LINES:
        yield f"{path}:{function.lineno}: {function.name} has {size} lines, {FUNCTION_LINES} allowed: name its steps"
    if function.name == "ready" and path.name == "apps.py":
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield f"{path}:{node.lineno}: import inside {function.name}: hides a dependency from the room contracts"


if __name__ == "__main__":
    sys.exit(main())
