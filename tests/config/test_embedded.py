import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)  # pytest's own folders: let PostgreSQL's account through
    return tmp_path / "data"


def test_postgres_starts_and_finds_its_data_again(data: Path) -> None:
    place = embedded.home(data)
    with embedded.postgres(place) as part, psycopg.connect(part.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('again')")
    with embedded.postgres(place) as part, psycopg.connect(part.url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("again",)
        assert connection.info.server_version >= 160_000


def test_the_database_sorts_by_code_point_and_folds_unicode(data: Path) -> None:
    with embedded.postgres(embedded.home(data), durable=False) as part, psycopg.connect(part.url) as connection:
        row = connection.execute("SELECT lower('ЁЖ'), 'a' > 'B', 'ё' ~* 'Ё'").fetchone()
    assert row == ("ёж", True, True)


def test_the_broker_answers_on_a_socket_and_leaves_nothing(data: Path) -> None:
    with embedded.broker(embedded.home(data)) as part:
        socket = Path(part.url.removeprefix("redis+socket://"))
        assert redis.Redis(unix_socket_path=str(socket)).ping()
    assert not socket.parent.exists()


def test_the_sockets_are_closed_to_other_accounts(data: Path) -> None:
    with embedded.broker(embedded.home(data)) as part:
        folder = Path(part.url.removeprefix("redis+socket://")).parent
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_as_root_no_part_is_root_and_no_folder_of_others_is_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [folder.stat().st_mode for folder in (closed, *closed.parents)]
    place = embedded.home(closed / "data")
    try:
        with embedded.postgres(place, durable=False) as part, psycopg.connect(part.url) as connection:
            assert Path(f"/proc/{part.process.pid}").stat().st_uid == place.account.uid != 0
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        subprocess.run(["rm", "-r", str(place.folder)], check=True)  # noqa: S607
    assert [folder.stat().st_mode for folder in (closed, *closed.parents)] == before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise to end children is Linux's")
def test_a_killed_supervisor_leaves_no_server_behind(data: Path) -> None:
    program = (
        "import sys, signal; from pathlib import Path; from config import embedded\n"
        "with embedded.broker(embedded.home(Path(sys.argv[1]))) as part:\n"
        "    print(part.process.pid, part.url, flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", program, str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid, _space, url = supervisor.stdout.readline().strip().partition(" ")
        with open(f"/proc/{pid}/cmdline", "rb") as running:  # noqa: PTH123
            assert b"valkey" in running.read()
        watched = os.pidfd_open(int(pid))
        supervisor.send_signal(signal.SIGKILL)
        assert select.select([watched], [], [], 10)[0]  # a pidfd is readable once its process has ended
    shutil.rmtree(Path(url.removeprefix("redis+socket://")).parent)  # a killed supervisor can't tidy up


def test_an_ordinary_user_owns_what_runs(data: Path) -> None:
    place = embedded.home(data)
    assert place.account.name in {entry.pw_name for entry in pwd.getpwall()}
