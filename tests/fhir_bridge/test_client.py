"""The wire: our token goes to the registered origin alone, and no answer however odd does harm."""

import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.fake_ehr import Answer, FakeEhr, Request
from fhir_bridge.connecting.client import MAX_BYTES, Server, token
from fhir_bridge.connecting.credentials import Fixed
from fhir_bridge.connecting.retries import Failed, Unreachable, Unreadable
from records import errors, json

TOKEN = "a-long-enough-token"


@pytest.fixture
def canary() -> Iterator[FakeEhr]:
    """Somebody else's server; it must not hear of us."""
    with FakeEhr() as server:
        yield server


@pytest.fixture
def server(ehr: FakeEhr) -> Server:
    return Server(ehr.base_url, Fixed(f"Bearer {TOKEN}"), total_seconds=2.0)


def replies(answer: Answer, ehr: FakeEhr) -> None:
    ehr.refusal = lambda _request: answer


def test_the_token_goes_to_the_partner(server: Server, ehr: FakeEhr) -> None:
    ehr.put({"resourceType": "Task", "id": "1", "status": "requested"})

    assert (server.read("Task", "1").resource or {})["status"] == "requested"
    assert ehr.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_next_link_to_another_host_is_not_followed(server: Server, ehr: FakeEhr, canary: FakeEhr) -> None:
    link = {"relation": "next", "url": f"{canary.base_url}/Task?page=2"}
    replies(Answer(200, {"resourceType": "Bundle", "type": "searchset", "link": [link]}), ehr)

    with pytest.raises(errors.Forbidden):
        list(server.search("Task", []))
    assert canary.requests == []


@pytest.mark.parametrize(
    "trick",
    [
        "//{host}/fhir/Task",
        "http://user@{host}/Task",
        "http://127.0.0.1@{host}/Task",
        "http:\\\\{host}\\Task",
        "HTTP://{host}/Task",
        "https://{host}/Task",
        "file:///etc/passwd",
        "http://localhost:{port}/fhir/Task",
    ],
)
def test_no_spelling_of_a_next_link_gets_around_that(trick: str, server: Server, ehr: FakeEhr, canary: FakeEhr) -> None:
    host = canary.base_url.split("/")[2]
    url = trick.format(host=host, port=host.rpartition(":")[2])
    replies(Answer(200, {"resourceType": "Bundle", "link": [{"relation": "next", "url": url}]}), ehr)

    with pytest.raises(errors.BatonError):
        list(server.search("Task", []))
    assert canary.requests == []


def test_a_redirect_is_not_followed(server: Server, ehr: FakeEhr, canary: FakeEhr) -> None:
    replies(Answer(307, None, {"Location": f"{canary.base_url}/Task"}), ehr)

    with pytest.raises(Unreadable):
        server.create({"resourceType": "Task"})
    assert canary.requests == []


def test_pages_without_end_come_to_one(server: Server, ehr: FakeEhr) -> None:
    link = {"relation": "next", "url": f"{ehr.base_url}/Task?again"}
    replies(Answer(200, {"resourceType": "Bundle", "link": [link]}), ehr)

    with pytest.raises(Unreadable):
        list(server.search("Task", []))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, None, {"Content-Type": "text/html"}, text="<html>Sign in</html>"),
        Answer(200, text="<html>Sign in</html>"),
        Answer(200, text='{"resourceType":"Task","id":"1"'),
        Answer(200, text="[]"),
        Answer(200, {"resourceType": "Task", "id": "2"}),
        Answer(200, {"resourceType": "Patient", "id": "1"}),
        Answer(200, {"resourceType": "OperationOutcome", "issue": [{"severity": "fatal", "code": "exception"}]}),
    ],
)
def test_an_answer_that_is_not_the_resource_is_unreadable(answer: Answer, server: Server, ehr: FakeEhr) -> None:
    replies(answer, ehr)

    with pytest.raises(Unreadable):
        server.read("Task", "1")


def test_an_absurd_number_is_refused_at_once(server: Server, ehr: FakeEhr) -> None:
    replies(Answer(200, text='{"resourceType":"Task","id":"1","x":1e999999}'), ehr)
    started = time.monotonic()

    with pytest.raises(Unreadable):
        server.read("Task", "1")
    assert time.monotonic() - started < 1.0


def test_decimals_come_as_they_were_sent(server: Server, ehr: FakeEhr) -> None:
    replies(Answer(200, text='{"resourceType":"Observation","id":"1","valueQuantity":{"value":1.50}}'), ehr)

    resource = server.read("Observation", "1").resource or {}

    assert json.dumps(resource["valueQuantity"]) == '{"value":1.50}'


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, errors.Malformed),
        (401, errors.Unauthenticated),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (412, errors.Stale),
        (422, errors.Incorrect),
        (429, errors.Throttled),
        (500, Failed),
        (503, errors.Unavailable),
    ],
)
def test_a_status_means_a_category(
    status: int, category: type[errors.BatonError], server: Server, ehr: FakeEhr
) -> None:
    replies(Answer(status), ehr)

    with pytest.raises(category) as caught:
        server.read("Task", "1")
    assert type(caught.value) is category


def test_the_words_of_a_refusal_name_places_and_no_values(server: Server, ehr: FakeEhr) -> None:
    issue = {
        "severity": "error",
        "code": "required",
        "diagnostics": "Ana Canary has no intent",
        "expression": ["Task.intent"],
    }
    quoting = {"severity": "error", "code": "value", "expression": ["Patient.name.where(family='Canary')"]}
    replies(Answer(422, {"resourceType": "OperationOutcome", "issue": [issue, quoting]}), ehr)

    with pytest.raises(errors.Incorrect) as caught:
        server.create({"resourceType": "Task"})
    assert caught.value.message == "The partner answered 422: required Task.intent, value."


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7.0), ("-5", 30.0), ("soon", 30.0), ("", 30.0), ("9" * 40, 86_400.0)]
)
def test_retry_after_is_obeyed_where_it_makes_sense(said: str, seconds: float, server: Server, ehr: FakeEhr) -> None:
    replies(Answer(429, headers={"Retry-After": said}), ehr)

    with pytest.raises(errors.Throttled) as caught:
        server.read("Task", "1")
    assert caught.value.retry_after == seconds


def test_a_dropped_reply_is_not_the_same_as_no_connection(server: Server, ehr: FakeEhr) -> None:
    replies(Answer(is_dropped=True), ehr)

    with pytest.raises(errors.Unavailable) as lost:
        server.create({"resourceType": "Task"})
    with pytest.raises(Unreachable):
        Server("http://127.0.0.1:1/fhir").read("Task", "1")
    assert not isinstance(lost.value, Unreachable)


def test_a_server_that_does_not_answer_is_given_up(
    server: Server, ehr: FakeEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "time_outs", (0.2, 0.2))
    held = threading.Event()
    replies(Answer(hold=held), ehr)

    with pytest.raises(errors.Unavailable) as lost:
        server.read("Task", "1")
    held.set()
    assert not isinstance(lost.value, Unreachable)


def test_special_characters_of_an_identifier_are_escaped() -> None:
    assert token("https://a.example", "1|2,3$4\\5") == "https://a.example|1\\|2\\,3\\$4\\\\5"


def test_a_partners_request_log_shows_no_credentials_in_urls(server: Server, ehr: FakeEhr) -> None:
    list(server.search("Task", [("identifier", token("s", "v"))]))

    seen: Request = ehr.requests[0]
    assert TOKEN not in f"{seen.path}{seen.query}"


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%2", "::", "224.0.0.1"])
def test_a_name_that_leads_to_where_no_ehr_can_be_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, connected = [], []

    def resolve(host: str, port: int, *_more: int, **_options: int) -> list[tuple[object, ...]]:
        asked.append(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", lambda _socket, to: connected.append(to))
    for url in ("http://ehr.example/fhir", "https://ehr.example/fhir"):
        with pytest.raises(Unreachable):
            Server(url).read("Task", "1")
    assert set(asked) == {"ehr.example"}
    assert connected == []


def test_a_bomb_is_put_down_when_it_has_grown_too_big(ehr: FakeEhr) -> None:
    bomb = zlib.compressobj(9, wbits=31)
    content = bomb.compress(b"[" * 400_000_000) + bomb.flush()
    with serving(content, "gzip") as url:
        tracemalloc.start()
        with pytest.raises(Unreadable, match="too big"):
            Server(url).read("Task", "1")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 4 * MAX_BYTES


@pytest.mark.parametrize("encoding", ["gzip, " * 50 + "gzip", "br", "zstd", "x-unheard-of"])
def test_an_encoding_that_nobody_asked_for_is_no_answer(encoding: str) -> None:
    with serving(b"\x1f\x8b" + b"x" * 2_000, encoding) as url, pytest.raises(errors.Unavailable):
        Server(url).read("Task", "1")


@contextmanager
def serving(content: bytes, encoding: str) -> Iterator[str]:
    """A server that gives this to anybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in (("Content-Encoding", encoding), ("Content-Length", str(len(content)))):
                self.send_header(name, value)
            self.send_header("Content-Type", "application/fhir+json")
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/fhir"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """A server that answers with these bytes, and then keeps the line open until the client ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _address = listening.accept()
            with line:
                line.recv(65_536)
                line.sendall(head)
                with suppress(OSError):  # hung up on
                    line.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("framing", ["Content-Length: 3000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
def test_an_answer_that_drips_ends_at_the_deadline_and_not_with_its_next_bytes(framing: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n{framing}"
    with dripping(head.encode()) as url:
        slow = Server(url, total_seconds=0.2)
        with pytest.raises(errors.Unavailable, match="took too long"):
            slow.read("Task", "1")


@contextmanager
def dripping_heads() -> Iterator[tuple[str, list[bool]]]:
    """A server that sends its headers letter by letter, and at last the end of them; gives its address, and whether it came to that."""
    is_whole: list[bool] = []
    pause = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _address = listening.accept()
            with line, suppress(OSError):
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                for _letter in range(300):
                    line.sendall(b"x")
                    pause.wait(0.01)
                line.sendall(b"\r\nContent-Length: 2\r\n\r\n{}")
                is_whole.append(True)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", is_whole
        thread.join()


def test_headers_that_drip_end_at_the_deadline() -> None:
    with dripping_heads() as (url, is_whole), pytest.raises(errors.Unavailable, match="took too long"):
        Server(url, total_seconds=0.2).read("Task", "1")
    assert not is_whole, "it was hung up on before"
