"""``make run``: everything that one machine needs, started in order, watched, and stopped in the reverse order.

PostgreSQL and the broker are embedded unless DATABASE_URL and REDIS_URL name others. The web process, the worker and
the clock (beat) are children in sessions of their own: Ctrl-C reaches this process alone. One that ends is started
again; one that keeps ending ends all. What they say goes to ``log/`` in the data folder.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import redis

from config import embedded, running

ROOT = Path(__file__).resolve().parent.parent
OLDEST_POSTGRES = 160_000
PATIENCE_SECONDS = 60
ORIGINS = ("BATON_BASE_URL", "BATON_SERVED_URL")
MOST_RESTARTS, WITHIN_SECONDS = 5, 60


class RefusedError(Exception):
    """Why Baton can't run, in one line for a person."""


@dataclass(slots=True)
class Service:
    """A child that is kept running."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESTARTS))

    def start(self) -> None:
        """Start it, with its output in its log."""
        self.starts.append(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=embedded.die_with_parent,  # noqa: PLW1509 - one libc call, no lock taken
            )

    def keep(self) -> None:
        """Start it again if it has ended; raise RefusedError when it keeps ending."""
        if self.process is None or self.process.poll() is None:
            return
        if len(self.starts) == MOST_RESTARTS and time.monotonic() - self.starts[0] < WITHIN_SECONDS:
            raise RefusedError(f"the {self.name} process keeps ending; {self.log} says why")
        self.start()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            embedded.stop(self.process)


def main() -> int:
    """Run until Ctrl-C; return the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            try:
                _run(stack)
            finally:
                _deafen()  # what follows is tidying up, and another Ctrl-C must not leave half of it
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0
    except (RefusedError, embedded.PartError) as refused:
        print(f"baton: {refused}", file=sys.stderr)
    except OSError as error:
        print(f"baton: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _deafen() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _run(stack: ExitStack) -> None:
    data = Path(os.environ.get("BATON_DATA") or ROOT / ".baton")
    stack.enter_context(_alone(data))
    host, port = os.environ.get("HOST", "127.0.0.1"), _port(os.environ.get("PORT", "8000"))
    _check_free(host, port)
    log = data / "log"
    log.mkdir(exist_ok=True)
    parts: list[embedded.Part] = []
    environment = {**origins(data, f"http://{host}:{port}"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    # Mail to staff can be read as files, unless a mail server is named
    environment = {"EMAIL_URL": f"filemail:///{data.resolve() / 'mail'}", **os.environ, **environment}
    environment |= _addresses(data, stack, parts)
    told = {name: environment[name] for name in ("DATABASE_URL", "REDIS_URL", *ORIGINS)}
    stack.enter_context(running.told(data, told))
    prepared = _prepare(data, environment)
    services = _services(environment, host, port, log)
    for service in services:
        service.start()
        stack.callback(service.stop)
    _await_web(f"http://{host}:{port}/healthz", services)
    print(_welcome(environment["BATON_SERVED_URL"], prepared), flush=True)
    _watch(services, parts)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the data folder: no other `make run` on it."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"it runs already on {data}; stop that one first, or set BATON_DATA") from None
        yield


def origins(data: Path, address: str) -> dict[str, str]:
    """Who this installation is, and where it answers.

    Who it is is what the environment says, else what it was at the first start on this data folder, whose address is
    taken for it: by identifiers made from it Baton knows its own requests again, so another port must not change it.
    """
    given, path = os.environ.get("BATON_BASE_URL"), data / "identity"
    if not path.exists():
        path.write_text(given or address, encoding="ascii")
    identity = given or path.read_text(encoding="ascii").strip()
    served = os.environ.get("BATON_SERVED_URL") or given or address
    return {"BATON_BASE_URL": identity, "BATON_SERVED_URL": served}


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 1 << 16):
        raise RefusedError(f"PORT={text} is no port; take a number from 1 to 65535")
    return int(text)


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise RefusedError(
                f"can't listen on {host}:{port} ({error.strerror}); try another: make run PORT=8001"
            ) from None


def _addresses(data: Path, stack: ExitStack, parts: list[embedded.Part]) -> dict[str, str]:
    """Where the database and the broker are: given ones are checked, absent ones started."""
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)}
    if "DATABASE_URL" in given:
        _check_database(given["DATABASE_URL"])
    if "REDIS_URL" in given:
        _check_broker(given["REDIS_URL"])
    starts: dict[str, Callable[[embedded.Home], Any]] = {
        "DATABASE_URL": embedded.postgres,
        "REDIS_URL": embedded.broker,
    }
    for name, start in starts.items():
        if name not in given:
            part = stack.enter_context(start(embedded.home(data)))
            parts.append(part)
            given[name] = part.url
    return given


def _check_database(url: str) -> None:
    if refusal := running.refusal_of_database(url):
        raise RefusedError(refusal)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        raise RefusedError(f"DATABASE_URL can't be reached: {_first_line(error)}") from None
    check_version(version)


def check_version(version: int) -> None:
    """Refuse a PostgreSQL that is too old; ``version`` as the server tells it, such as 160004."""
    if version < OLDEST_POSTGRES:
        raise RefusedError(
            f"DATABASE_URL is PostgreSQL {version // 10_000}; Baton needs {OLDEST_POSTGRES // 10_000} or newer"
        )


def _check_broker(url: str) -> None:
    try:
        client = redis.Redis.from_url(
            url.replace("redis+socket://", "unix://"), socket_connect_timeout=5, socket_timeout=5
        )
        client.ping()
    except (redis.RedisError, ValueError) as error:
        raise RefusedError(f"REDIS_URL can't be reached: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _prepare(data: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Migrate, compile translations, load the demo; return what there is to tell a person (see the command `prepare`)."""
    result = data / "prepared.json"
    command = [sys.executable, "manage.py", "prepare", str(result)]
    log = data / "log" / "prepare.log"
    keep_previous(log)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True
        )
    try:
        status = process.wait()
    finally:
        embedded.stop(process)
    if status:
        raise RefusedError(f"the database could not be prepared; {log} says why")
    prepared: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()  # it carries a token
    return prepared


def _services(environment: Mapping[str, str], host: str, port: int, log: Path) -> list[Service]:
    granian = [sys.executable, "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--no-ws"]
    granian += ["--host", host, "--port", str(port), "--workers", os.environ.get("WEB_WORKERS", "2")]
    granian += ["--blocking-threads", "8", "--respawn-failed-workers", "--log-level", "warning"]
    celery = [sys.executable, "-m", "celery", "--app", "config.celery:app", "--quiet"]
    worker = [*celery, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    beat = [*celery, "beat", "--schedule", str(log.parent / "beat"), "--pidfile", "", "--loglevel", "WARNING"]
    commands = {"worker": worker, "beat": beat, "web": granian}
    for name in commands:
        keep_previous(log / f"{name}.log")
    return [Service(name, command, environment, log / f"{name}.log") for name, command in commands.items()]


def keep_previous(log: Path) -> None:
    """Begin a new log; the one of the run before stays beside it as ``.1``, with what a crash has said."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))


def _await_web(url: str, services: list[Service]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            if answer.status == 200:  # noqa: PLR2004
                return
        for service in services:
            service.keep()
        time.sleep(0.1)
    raise RefusedError(f"the web process does not answer on {url}; {services[-1].log} says why")


def _watch(services: list[Service], parts: list[embedded.Part]) -> None:
    while True:
        time.sleep(0.5)
        for service in services:
            service.keep()
        for part in parts:
            if part.process.poll() is not None:
                raise RefusedError(f"the embedded {part.name} has ended; its log in the data folder says why")


def _welcome(address: str, prepared: Mapping[str, Any]) -> str:
    lines = ["", f"Baton is ready: {address}", ""]
    width = max((len(login["username"]) for login in prepared["logins"]), default=0)
    lines += [
        f"  {login['username']:{width}}  {login['password']}  {login['role']}, {login['organisation']}"
        for login in prepared["logins"]
    ]
    if prepared["token"]:
        lines += ["", "Try the API (this token is good for 8 hours):", ""]
        lines += [f'  curl -H "Authorization: Bearer {prepared["token"]}" "{address}/fhir/ServiceRequest?_count=2"']
    return "\n".join([*lines, "", "Ctrl-C stops everything; `make run` finds its data again."])


if __name__ == "__main__":
    sys.exit(main())
