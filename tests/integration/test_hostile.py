"""Malformed SIP never ends a process and never delays the calls of others."""

import random
import socket
import time
from collections.abc import Callable

import pytest

from strangers.system import System

pytestmark = pytest.mark.feature("M-1")

GOOD = (
    b"OPTIONS sip:x@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{n}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@{host}>\r\n"
    b"Call-ID: {n}@test\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def request(host: str, local: str, number: object) -> bytes:
    text = GOOD.decode().replace("{host}", host).replace("{local}", local).replace("{n}", str(number))
    return text.encode()


def malformed() -> dict[str, bytes]:
    good = request("h", "127.0.0.1:9", "x")
    dice = random.Random(20261122)
    return {
        "truncated": good[:60],
        "one byte": b"\x00",
        "only line ends": b"\r\n" * 500,
        "binary": dice.randbytes(3000),
        "binary after a good first line": b"INVITE sip:a@b SIP/2.0\r\n" + dice.randbytes(3000),
        "huge": b"INVITE sip:a@b SIP/2.0\r\nSubject: " + b"A" * 65000,
        "10,000 headers": b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        "negative length": good.replace(b"Content-Length: 0", b"Content-Length: -5"),
        "length too large": good.replace(b"Content-Length: 0", b"Content-Length: 99999999"),
        "length no number": good.replace(b"Content-Length: 0", b"Content-Length: many"),
        "no via": good.replace(b"Via:", b"Xia:"),
        "no call-id": good.replace(b"Call-ID:", b"Xall-ID:"),
        "cseq huge": good.replace(b"CSeq: 1", b"CSeq: 99999999999999999999"),
        "unknown version": good.replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 1),
        "nested brackets": good.replace(b"<sip:a@b>", b"<" * 5000 + b"sip:a@b" + b">" * 5000),
        "deep parameters": good.replace(b"tag=1", b"tag=1" + b";a=b" * 8000),
        "quotes never closed": good.replace(b"From: <sip:a@b>", b'From: "aaa <sip:a@b>'),
        "bad utf-8": good.replace(b"sip:a@b", b"sip:\xff\xfe@\xc3"),
        "a response from nowhere": b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n",
        "status 999999": b"SIP/2.0 999999 No\r\n\r\n",
    }


def options_delay(target: tuple[str, int], number: object) -> float:
    """Seconds until OPTIONS is answered, without retransmission."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(30)
        local = f"127.0.0.1:{sock.getsockname()[1]}"
        started = time.perf_counter()
        sock.sendto(request(f"{target[0]}:{target[1]}", local, number), target)
        answer = sock.recv(65536)
        assert answer.startswith(b"SIP/2.0 "), answer[:100]
        return time.perf_counter() - started


def over_udp(target: tuple[str, int], data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data[:65000], target)


def over_tcp(target: tuple[str, int], data: bytes) -> None:
    with socket.create_connection(target, timeout=5) as sock:
        try:
            sock.sendall(data)
            sock.settimeout(0.05)
            sock.recv(4096)
        except OSError:
            pass  # Cut off or unanswered: both are right.


@pytest.mark.parametrize("send", [over_udp, over_tcp])
def test_every_malformed_message_leaves_the_next_request_answered(system: System, send: Callable[[tuple[str, int], bytes], None]) -> None:
    before = system.run["processes"]
    for name, data in malformed().items():
        send(system.sip, data)
        assert options_delay(system.sip, f"{send.__name__}-{name.replace(' ', '-')}") < 5, name
    assert system.run["processes"] == before


def test_a_storm_of_garbage_leaves_every_request_answered(system: System, record_property: Callable[[str, object], None]) -> None:
    """The delays of the OPTIONS between the garbage are recorded (`--junit-xml`), not asserted."""
    before = system.run["processes"]
    storm = [data for data in malformed().values() if len(data) < 65000]
    delays: list[float] = []
    for number in range(60):
        for data in storm:
            over_udp(system.sip, data)
        delays.append(options_delay(system.sip, f"storm-{number}"))
    record_property("worst_delay_ms", round(1000 * max(delays), 1))
    assert system.run["processes"] == before
