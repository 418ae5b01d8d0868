"""RFC 4475 and RFC 5118 against the running system: answered as the RFCs allow, nobody falls, the next request is answered at once."""

import socket
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from carillon_sip.digest import Credentials, answer_challenges
from carillon_sip.errors import ParseError
from carillon_sip.message import Response
from carillon_sip.parser import StreamFramer, parse_message
from strangers.reflection import Reflected
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-1")

CORPUS = Path(__file__).parents[2] / "libs/sip/tests/torture"
ROWS: dict[str, dict[str, Any]] = {
    f"{rfc}/{name}": row
    for rfc in ("rfc4475", "rfc5118")
    for name, row in tomllib.loads((CORPUS / rfc / "answers.toml").read_text()).items()
}
FINDINGS = sorted((CORPUS / "findings").glob("*.dat"))
#: What a PBX answers to well-formed requests of strangers, about users and calls that it does not have.
POLICY = {401, 403, 404, 407, 480, 481, 488}
#: Datagrams come from here, a carrier of its own: their answers go to the ports that their Vias name, some for 32 s, and no other test
#: may listen there.
ELSEWHERE = "127.0.0.6"
PATIENCE = 20.0
#: Where what is sent swallows what comes after it, nothing may come.
SPILT_PATIENCE = 1.0
#: Their answers copy what cannot be read.
UNREADABLE = {"rfc4475/scalar02"}

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
OPTIONS = (
    "OPTIONS sip:x@{host} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{n};rport\r\nFrom: <sip:a@b>;tag=1\r\n"
    "To: <sip:x@{host}>\r\nCall-ID: {n}@next\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Line:
    """A connection to the system, and the responses that came over it."""

    def __init__(self, system: System, patience: float = PATIENCE) -> None:
        host, port = system.run["sip"]["tcp"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=patience)
        self._framer = StreamFramer()
        self._waiting: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def response(self) -> Response | None:
        """The next one; None: the connection has ended, or nothing comes any more."""
        while True:
            while self._waiting:
                with suppress(ParseError):  # It may copy what could not be read, as it must.
                    found = parse_message(self._waiting.pop(0))
                    if isinstance(found, Response):
                        return found
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ConnectionError):
                return None
            if not data:
                return None
            self._waiting += self._framer.feed(data)

    def final(self) -> Response | None:
        """The next final response."""
        while (found := self.response()) is not None and found.status < 200:
            pass
        return found

    def answers_options(self) -> tuple[bool, list[Response]]:
        """Whether OPTIONS is answered now, and what came before."""
        number, others = f"{time.monotonic_ns()}", list[Response]()
        self.send(options("TCP", self.socket, number))
        while (found := self.response()) is not None and found.call_id != f"{number}@next":
            others.append(found)
        return found is not None, others

    def ends(self) -> bool:
        """Whether the system closes the connection."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


def options(transport: str, local: socket.socket, number: str) -> bytes:
    host, port = local.getsockname()
    return OPTIONS.format(host=host, transport=transport, local=f"{host}:{port}", n=number).encode()


@pytest.fixture(scope="module", autouse=True)
def _no_harm(system: System) -> Iterator[None]:
    """In the whole module no process ended, and nothing was raised that nobody had thought of."""
    before, log = system.run["processes"], len(system.log())
    yield
    assert system.run["processes"] == before
    assert "Traceback" not in system.log()[log:]


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_is_answered_as_the_rfc_allows(name: str, system: System) -> None:
    row, data = ROWS[name], (CORPUS / f"{name}.dat").read_bytes()
    allowed = row.get("tcp", row["udp"])
    spills = allowed not in ("closed", "waits") and bool(data[sum(map(len, StreamFramer().feed(data))) :].strip())
    with Line(system, SPILT_PATIENCE if spills else PATIENCE) as line:
        line.send(data)
        if allowed == "closed":
            assert line.ends()
        elif allowed != "waits":
            went_on, others = line.answers_options()
            finals = {response.status for response in others if response.status >= 200}
            if not finals and 0 not in allowed and name not in UNREADABLE:
                late = line.final()
                assert late is not None
                finals = {late.status}
            assert went_on or spills
            assert finals <= set(allowed) | (POLICY if row["form"] in ("valid", "odd") else set())
    with Line(system) as line:
        assert line.answers_options()[0]


@pytest.fixture
def carrier(system: System) -> Iterator[str]:
    """The address of a trunk that no call goes out by."""
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    trunk = {"id": "torturer", "address": ELSEWHERE, "prefixes": ["+99999"]}
    directory.call("carillon.directory.v1.TrunkService/CreateTrunk", {"trunk": trunk})
    try:
        until(lambda: "torturer" in system.carillon("trunks"), "the trunk")
        yield ELSEWHERE
    finally:
        directory.call("carillon.directory.v1.TrunkService/DeleteTrunk", {"id": "torturer"})


def test_datagrams_are_followed_by_an_answer(system: System, carrier: str) -> None:
    """After the streams: what comes again with the same branch is the same request, whatever carries it (RFC 3261 section 17.2.3)."""
    messages = {name: (CORPUS / f"{name}.dat").read_bytes() for name in ROWS} | {path.stem: path.read_bytes() for path in FINDINGS}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as torturer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        torturer.bind((carrier, 0))
        asker.bind(("127.0.0.1", 0))
        asker.settimeout(PATIENCE)
        for number, (name, data) in enumerate(messages.items()):
            torturer.sendto(data, system.sip)
            asker.sendto(options("UDP", asker, f"udp{number}"), system.sip)
            try:
                reply = asker.recv(65536)
            except TimeoutError:
                pytest.fail(f"{name}: the next OPTIONS was not answered within {PATIENCE} s")
            assert f"udp{number}@next".encode() in reply, name


@pytest.mark.parametrize(
    ("method", "user", "name", "extra", "statuses"),
    [
        ("INVITE", "10%00", '""', "", {484}),
        ("INVITE", "%ff", '""', "", {400}),
        ("INVITE", "%F0%9F%98%80", '""', "", {484}),
        ("INVITE", "a" * 3000, '""', "", {484}),
        ("INVITE", "999999", '"\\\0"', "", {404}),
        ("INVITE", "999999", '"\udcff\x1b[31m"', "Diversion: <sip:\udcff@x>\r\nUser-Agent: \udcff\r\n", {404}),
        ("INVITE", "999999", '""', "Diversion: <sip:%00@x>\r\nP-Asserted-Identity: <sip:%00@x>\r\n", {404}),
        ("REGISTER", "", '"\udcff"', 'User-Agent: \udcff\\\0\r\nContact: <sip:x@127.0.0.1:9>;+sip.instance="\udcff"\r\n', {200}),
        ("REGISTER", "", '""', "Contact: <sip:x@127.0.0.1:9>;expires=0\r\n", {200}),
    ],
)
def test_odd_octets_of_an_account_are_no_harm(method: str, user: str, name: str, extra: str, statuses: set[int], system: System) -> None:
    """With the right password they reach every service, the records and the stored registrations."""
    account, realm = system.user("106"), system.tenant["realm"]
    uri = f"sip:{user or account['sip_user']}@{realm}"
    call_id, authorization = f"{time.monotonic_ns()}@odd", ""
    with Line(system) as line:
        for cseq in (1, 2):
            body = SDP if method == "INVITE" else ""
            text = (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{call_id}{cseq}\r\nMax-Forwards: 70\r\n"
                f"From: {name} <sip:{account['sip_user']}@{realm}>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
                f"{extra}{'Contact: <sip:x@127.0.0.1:9>' if body else 'Expires: 60'}\r\nContent-Type: application/sdp\r\n"
                f"{authorization}Content-Length: {len(body)}\r\n\r\n{body}"
            )
            line.send(text.encode("utf-8", "surrogateescape"))
            response = line.final()
            assert response is not None
            if response.status not in (401, 407):
                break
            kind = "WWW-Authenticate" if response.status == 401 else "Proxy-Authenticate"
            credentials = Credentials(account["sip_user"], account["sip_password"])
            answer = answer_challenges(response.headers.all(kind), credentials, method, uri, "cnonce")
            authorization = f"{kind.replace('WWW-Authenticate', 'Authorization').replace('Authenticate', 'Authorization')}: {answer}\r\n"
        assert response is not None
        assert response.status in statuses
        assert line.answers_options()[0]


def test_the_records_are_still_read(system: System) -> None:
    assert "999999" in {record["dialled"] for record in until(system.records, "records")}
