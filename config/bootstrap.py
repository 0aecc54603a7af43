"""From a bare Python to Baton's environment: what the Makefile calls. Standard library alone.

``python3 config/bootstrap.py run | clean | exec ARGUMENTS`` (``exec`` gives the arguments to the environment's Python).

The environment is ``.venv``, made from the pinned requirements, wheels only: nothing is compiled. A stamp says what is
in it, so that a warm start asks no package index. What goes wrong is said in one line, and the exit status is not 0.
Older Pythons than the one that Baton needs can read this file, so that they can say so.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, NoReturn  # noqa: UP035 - older Pythons

NEEDS = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.14")
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "installed"
DATA = Path(os.environ.get("BATON_DATA") or ROOT / ".baton")
# What Baton keeps in its data folder. `clean` removes nothing else: BATON_DATA may name a folder that holds more.
OURS = (
    "beat*",
    "broker*",
    "elsewhere",
    "environment.lock",
    "identity",
    "keys",
    "lock",
    "log",
    "mail",
    "postgres*",
    "*.json",
)
CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache")


class RefusedError(Exception):
    """Why it can't go on, in one line for a person."""


def main(arguments: list[str]) -> int:
    """Do what is asked and return the exit status; ``run`` and ``exec`` become another program instead."""
    try:
        _act(arguments)
    except RefusedError as refused:
        print(f"baton: {refused}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"baton: {error.filename or ROOT}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _act(arguments: list[str]) -> None:
    action = arguments[0] if arguments else ""
    if action == "clean":
        _clean()
        return
    _check_python()
    if action == "run":
        _step_down()
        _become(["-m", "config.run"], "requirements.txt")
    if action == "exec":
        _become(arguments[1:], "requirements.txt", "requirements-dev.txt")
    raise RefusedError("usage: bootstrap.py run | clean | exec ARGUMENTS")


def _check_python() -> None:
    if sys.version_info < NEEDS:
        better = next(filter(None, map(shutil.which, NEWER)), None)
        if better is None:
            raise RefusedError(f"needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=… names one")
        os.execv(better, [better, *sys.argv])  # noqa: S606 - the same program, a newer interpreter
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise RefusedError(
            f"{sys.executable} has no venv: install it (Debian, Ubuntu: apt install python3-venv), "
            "or name another Python: make PYTHON=…"
        )


def _step_down() -> None:
    """As root in somebody's checkout, become that somebody, so that what is made here stays theirs.

    Not where they could not execute this Python, such as one below ``/root``: then root goes on, and is the owner.
    """
    owner = ROOT.stat()
    if os.geteuid() or not owner.st_uid:
        return
    python = os.path.realpath(sys.executable)
    tried = subprocess.run(
        ["test", "-x", python],  # noqa: S607
        cwd="/",
        check=False,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
    )
    if tried.returncode:
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    known = [entry for entry in pwd.getpwall() if entry.pw_uid == owner.st_uid]
    os.environ["HOME"] = known[0].pw_dir if known else str(DATA)


def _become(arguments: list[str], *requirements: str) -> NoReturn:
    """Replace this process by the environment's Python, so that signals reach it and nobody else."""
    with _lock():
        _prepare(requirements)
    python = str(ENVIRONMENT / "bin" / "python")
    os.chdir(ROOT)
    os.execv(python, [python, *arguments])  # noqa: S606 - our own arguments


@contextmanager
def _lock() -> Iterator[None]:
    """One process at a time prepares the environment; another waits for it."""
    try:
        DATA.mkdir(parents=True, exist_ok=True)
        handle = (DATA / "environment.lock").open("w")
    except OSError as error:
        raise RefusedError(
            f"can't write to {DATA} ({error.strerror}): the data and the environment live there"
        ) from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _prepare(requirements: tuple[str, ...]) -> None:
    wanted = _wanted(requirements)
    have = STAMP.read_text(encoding="ascii").splitlines() if STAMP.exists() else []
    if set(wanted) <= set(have) and (ENVIRONMENT / "bin" / "python").exists():
        return
    print("Preparing the Python environment (.venv), once: about a minute …", file=sys.stderr, flush=True)
    if have[:1] != wanted[:1] or not (ENVIRONMENT / "bin" / "python").exists():
        _said(
            [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
            f"{sys.executable} can't make an environment",
        )
    if STAMP.exists():
        STAMP.unlink()
    for name in requirements:
        _install(ROOT / name)
    STAMP.write_text("\n".join(wanted) + "\n", encoding="ascii")


def _wanted(requirements: tuple[str, ...]) -> list[str]:
    """What the stamp says: the Python and its place first (the environment points there), then each file's content."""
    hashes = [f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}" for name in requirements]
    return [f"{sys.version_info[0]}.{sys.version_info[1]} {ENVIRONMENT}", *hashes]


def _install(requirements: Path) -> None:
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _said(
        [*pip, "--no-input", "--only-binary", ":all:", "-r", str(requirements)],
        f"the packages of {requirements.name} can't be installed",
    )


def _said(command: list[str], what: str) -> None:
    """Run a command quietly; if it fails, refuse with its own last word."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason given"]
        raise RefusedError(f"{what}: {errors[-1]}")


def _clean() -> None:
    """Remove data, environment and caches, unless Baton runs on them."""
    _refuse_while_running()
    if any((DATA / name).exists() for name in ("lock", "environment.lock")):
        _clean_data()
    for folder in (ENVIRONMENT, *(ROOT / name for name in CACHES)):
        if folder.exists():
            shutil.rmtree(folder)
    for compiled in ROOT.glob("locale/*/LC_MESSAGES/*.mo"):
        compiled.unlink()


def _clean_data() -> None:
    elsewhere = DATA / "elsewhere"
    if elsewhere.exists():
        shutil.rmtree(elsewhere.read_text(encoding="utf-8").strip(), ignore_errors=True)
    for ours in [found for pattern in OURS for found in DATA.glob(pattern)]:
        if ours.is_dir() and not ours.is_symlink():
            shutil.rmtree(ours)
        else:
            ours.unlink()
    if not any(DATA.iterdir()):
        DATA.rmdir()


def _refuse_while_running() -> None:
    if (DATA / "lock").exists():
        with (DATA / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError("it is running on this folder; stop it first (Ctrl-C)") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
