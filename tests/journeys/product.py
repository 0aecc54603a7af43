"""Baton as a hospital starts it: the real processes of ``make run`` on a data folder and a port of their own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Login:
    """A person of the demo region who can sign in."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Product:
    """A running installation."""

    url: str
    environment: dict[str, str]
    pid: int
    greeting: str

    def manage(self, *words: str) -> str:
        """Run a command of ``manage.py`` against it and give what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def token(self, client: str, *words: str) -> str:
        """A bearer token for an API client."""
        return self.manage("token", "--client", client, "--scope", "system/*.cruds", *words).splitlines()[-1]

    def kill_worker(self) -> None:
        """End the Celery worker and its children as a fault does: at once, with no chance to tidy up."""
        workers = [child for child in psutil.Process(self.pid).children(recursive=True) if _is_worker(child)]
        assert workers, "no worker runs"
        for worker in workers:
            worker.send_signal(signal.SIGKILL)

    def login(self, role: str) -> Login:
        """The first login of that role that the greeting names."""
        line = next(line for line in self.greeting.splitlines() if role in line.lower())
        username, password = line.split()[:2]
        return Login(username, password)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "celery" in " ".join(process.cmdline()) and "worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@contextmanager
def running(data: Path) -> Iterator[Product]:
    """Start everything, wait until it says that it is ready, and stop it as a service manager does."""
    port = free_port()
    mine = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    environment = mine | {"BATON_DATA": str(data), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "config.run"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Product(f"http://127.0.0.1:{port}", environment, process.pid, _greeting(process))
    finally:
        process.terminate()  # a background job of a shell doesn't hear SIGINT
        process.communicate(timeout=60)


def _greeting(process: "subprocess.Popen[str]") -> str:
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C stops everything" in line:
            return "".join(said)
    message = f"it didn't start: {''.join(said)}"
    raise AssertionError(message)
