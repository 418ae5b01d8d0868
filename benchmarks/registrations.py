"""A crowd of phones that refreshes its registrations beside calls: what becomes of the calls, and what a refresh costs.

Starts `carillon up --demo` in a temporary folder, gives it tenants of a thousand users, and registers one phone for each user over UDP,
each from a port of its own, a hundred at an address. Places calls with SIPp (as `calls.py`) before there are any, and again while all
refresh (every minute) with digest (the nonce is used again until it is stale, as phones do). Prints both, the delay of a refresh, and
CPU a refresh.

    .venv/bin/python benchmarks/registrations.py [--phones 20000] [--rate 20] [--seconds 60]
"""

import argparse
import asyncio
import heapq
import multiprocessing
import re
import resource
import select
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import md5
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from calls import Round, cpu_seconds, percentile, report, run_round, running

from carillon.directory.v1 import import_pb2_grpc
from carillon_cli import company
from carillon_kit.grpc_client import channel

PER_TENANT, PER_ADDRESS = 1000, 100
EXPIRES = 120
#: New phones a second, so that all are there within a minute.
FIRST_RATE = 400.0
#: RFC 3261 section 17.1.2: a request over UDP is sent again after T1, 2 T1, ... at most T2, and given up after 64 T1.
T1, T2 = 0.5, 4.0
_NONCE = re.compile(rb'nonce="([^"]+)"')
_CALL_ID = re.compile(rb"\r\nCall-ID: (\d+)@")


@dataclass(slots=True)
class Phone:
    """One phone; `asked_at`: when the REGISTER under way was first sent, 0 when none is."""

    number: int
    user: str
    realm: str
    ha1: str
    socket: socket.socket
    nonce: str = ""
    count: int = 0
    cseq: int = 0
    asked_at: float = 0.0
    data: bytes = b""


@dataclass(slots=True)
class Seen:
    """What happened in a stretch of time; delays in ms."""

    delays: list[float] = field(default_factory=list)
    challenges: int = 0
    again: int = 0
    refused: int = 0
    lost: int = 0


class Crowd:
    """All phones, in one process and one loop."""

    def __init__(self, logins: Sequence[tuple[str, str, str]], target: tuple[str, int], refresh: float) -> None:
        self.target = target
        self._refresh = refresh
        self.seen = Seen()
        self.registered: set[int] = set()
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._phones = [self._phone(number, *login) for number, login in enumerate(logins)]
        #: When what is due: (time, phone, CSeq that it is about or 0 for a refresh, wait until the next).
        self._due: list[tuple[float, int, int, float]] = []

    def _phone(self, number: int, user: str, realm: str, password: str) -> Phone:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((f"127.1.{number // PER_ADDRESS}.1", 6000 + number % PER_ADDRESS))
        self._sockets[sock.fileno()] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return Phone(number, user, realm, md5(f"{user}:{realm}:{password}".encode()).hexdigest(), sock)

    def run(self, pipe: Connection) -> None:
        """Until the pipe is closed; each message on it is answered with what was seen since the last."""
        begin = time.monotonic()
        self._due = [(begin + phone.number / FIRST_RATE, phone.number, 0, 0.0) for phone in self._phones]
        heapq.heapify(self._due)
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic())
            for descriptor, _ in self._poll.poll(wait, 256):
                if descriptor != pipe.fileno():
                    self._receive(self._sockets[descriptor])
                    continue
                try:
                    pipe.recv()
                except EOFError:
                    return
                pipe.send((len(self.registered), self.seen))
                self.seen = Seen()
            now = time.monotonic()
            while self._due[0][0] <= now:
                self._turn(*heapq.heappop(self._due), now)

    def _turn(self, at: float, number: int, cseq: int, wait: float, now: float) -> None:
        phone = self._phones[number]
        if not cseq:
            heapq.heappush(self._due, (at + self._refresh, number, 0, 0.0))
            if not phone.asked_at:
                phone.asked_at = now
                self._ask(phone, now)
        elif phone.asked_at and phone.cseq == cseq:
            if now - phone.asked_at > 64 * T1:
                self.seen.lost += 1
                self.registered.discard(number)
                phone.asked_at = 0.0
                return
            self.seen.again += 1
            self._send(phone, now, min(2 * wait, T2))

    def _ask(self, phone: Phone, now: float) -> None:
        phone.cseq += 1
        host, port = phone.socket.getsockname()
        to = f"sip:{phone.realm}"
        credentials = ""
        if phone.nonce:
            phone.count += 1
            count, ha2 = f"{phone.count:08x}", md5(f"REGISTER:{to}".encode()).hexdigest()
            response = md5(f"{phone.ha1}:{phone.nonce}:{count}:c:auth:{ha2}".encode()).hexdigest()
            credentials = (
                f'Authorization: Digest username="{phone.user}", realm="{phone.realm}", nonce="{phone.nonce}", uri="{to}", '
                f'response="{response}", algorithm=MD5, qop=auth, nc={count}, cnonce="c"\r\n'
            )
        phone.data = (
            f"REGISTER {to} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{phone.number}-{phone.cseq}\r\n"
            f"From: <sip:{phone.user}@{phone.realm}>;tag={phone.number}\r\nTo: <sip:{phone.user}@{phone.realm}>\r\n"
            f"Call-ID: {phone.number}@{host}\r\nCSeq: {phone.cseq} REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: crowd\r\n"
            f"Contact: <sip:{phone.user}@{host}:{port}>\r\nExpires: {EXPIRES}\r\n{credentials}Content-Length: 0\r\n\r\n"
        ).encode()
        self._send(phone, now, T1)

    def _send(self, phone: Phone, now: float, wait: float) -> None:
        phone.socket.sendto(phone.data, self.target)
        heapq.heappush(self._due, (now + wait, phone.number, phone.cseq, wait))

    def _receive(self, sock: socket.socket) -> None:
        data, now = sock.recv(65_535), time.monotonic()
        found = _CALL_ID.search(data)
        if found is None or not data.startswith(b"SIP/2.0 "):
            return
        phone, status = self._phones[int(found[1])], int(data[8:11])
        if not phone.asked_at or b"\r\nCSeq: %d " % phone.cseq not in data:
            return
        if status == 401 and (nonce := _NONCE.search(data)) is not None:
            self.seen.challenges += 1
            phone.nonce, phone.count = nonce[1].decode(), 0
            self._ask(phone, now)
            return
        if status == 200:
            self.seen.delays.append(1000 * (now - phone.asked_at))
            self.registered.add(phone.number)
        else:
            self.seen.refused += 1
        phone.asked_at = 0.0


def crowd(logins: Sequence[tuple[str, str, str]], target: tuple[str, int], refresh: float, pipe: Connection) -> None:
    """The process of the crowd."""
    Crowd(logins, target, refresh).run(pipe)


async def provision(run: dict[str, Any], tenant: str, count: int, **more: Any) -> list[tuple[str, str, str]]:
    """A company of so many users with a phone each, and `more`: SIP user, realm and password of each."""
    users = [{"id": f"u{number}", "first_name": "U", "last_name": f"{number}"} for number in range(count)]
    credentials = [{"id": f"{tenant}-{number}", "user_id": f"u{number}"} for number in range(count)]
    realm = f"{tenant}.example"
    data = {"tenant": {"id": tenant, "display_name": tenant, "realm": realm}, "users": users, "sip_credentials": credentials} | more
    async with channel(str(run["grpc"]["directory"]), str(run["admin_token"]), tenant) as directory:
        made = await import_pb2_grpc.ImportServiceStub(directory).ApplyTenant(company.request(data), timeout=60)
    return [(found.id, realm, found.password) for found in made.new_credentials]


def take(pipe: Connection) -> tuple[int, Seen]:
    """How many are registered, and what was seen since this was asked last."""
    pipe.send(None)
    found: tuple[int, Seen] = pipe.recv()
    return found


def told(name: str, seen: Seen, seconds: float) -> None:
    """One line of the crowd."""
    delays = sorted(seen.delays)
    shares = "/".join(f"{percentile(delays, share):.1f}" for share in (0.5, 0.95, 0.99, 1.0))
    print(
        f"{name}: {len(delays)} REGISTERs answered in {seconds:.0f} s ({len(delays) / seconds:.0f}/s), ms p50/p95/p99/worst {shares}; "
        f"challenged {seen.challenges}, sent again {seen.again}, refused {seen.refused}, lost {seen.lost}",
        flush=True,
    )


def compared(alone: Round, beside: Round) -> None:
    """What the crowd does to calls."""
    ratios = ", ".join(
        f"p{100 * share:.0f} {percentile(beside.delays, share) / max(0.1, percentile(alone.delays, share)):.2f}"
        for share in (0.5, 0.95, 0.99)
    )
    print(f"set-up beside the crowd, as a multiple of alone: {ratios}; failed {alone.failed} alone, {beside.failed} beside")


def measure(run: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    """Calls alone, the crowd comes, the crowd alone, calls beside it."""
    logins: list[tuple[str, str, str]] = []
    began = time.monotonic()
    while len(logins) < options.phones:
        count = min(PER_TENANT, options.phones - len(logins))
        logins += asyncio.run(provision(run, f"crowd{len(logins) // PER_TENANT}", count))
    print(f"{len(logins)} users in {-(-len(logins) // PER_TENANT)} tenants made in {time.monotonic() - began:.0f} s", flush=True)
    alone = run_round(run, options.rate, options.seconds, 3.0, folder)
    report(alone)
    host, _, port = str(run["sip"]["udp"]).rpartition(":")
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=crowd, args=(logins, (host, int(port)), options.refresh, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        began, there = time.monotonic(), 0
        while there < len(logins) and time.monotonic() - began < 3 * len(logins) / FIRST_RATE + 60:
            time.sleep(1)
            there, seen = take(ours)
            if options.verbose:
                told(f"{there} there", seen, 1)
        print(f"{there} of {len(logins)} registered after {time.monotonic() - began:.0f} s", flush=True)
        take(ours)
        before = cpu_seconds(run["processes"])
        time.sleep(options.seconds)
        after = cpu_seconds(run["processes"])
        seen = take(ours)[1]
        told("refreshes alone", seen, options.seconds)
        used = {name: after[name] - before[name] for name in after}
        parts = "  ".join(f"{name} {1000 * used[name] / max(1, len(seen.delays)):.3f}" for name in sorted(used, key=lambda n: -used[n]))
        print(f"         CPU ms/REGISTER {1000 * sum(used.values()) / max(1, len(seen.delays)):.3f}: {parts}", flush=True)
        began = time.monotonic()
        beside = run_round(run, options.rate, options.seconds, 3.0, folder)
        there, seen = take(ours)
        report(beside)
        told("refreshes beside calls", seen, time.monotonic() - began)
        print(f"{there} are registered")
        compared(alone, beside)
    finally:
        ours.close()
        process.join(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=20, help="calls a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--refresh", type=float, default=60, help="seconds between two REGISTERs of a phone")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < options.phones + 100:
        sys.exit(f"each phone has a socket: raise the limit of open files ({hard}) or take fewer --phones")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as name, running(Path(name)) as run:
        measure(run, options, Path(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
