"""Thousands of phones that watch one colleague: how soon a change has reached all of them, and what becomes of calls meanwhile.

Starts `carillon up --demo` in a temporary folder, makes a company, and subscribes to one user's calls (dialog event package) so many
times, by a hundred phones with an address each. Places calls to that user with SIPp (as `calls.py`): one, of which each change must reach
every watcher, then several a second, of which watchers may be told less. Kills media, and waits until every watcher has been told
everything again. Prints from the first to the last watcher for each state, NOTIFYs that were sent again, CPU a NOTIFY, and set-up delays
with and without watchers.

    .venv/bin/python benchmarks/watchers.py [--watchers 5000] [--rate 5] [--seconds 10]
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import select
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import md5
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from calls import cpu_seconds, percentile, report, run_round, running
from registrations import provision

ACCOUNTS = 100
EXTENSION = "100"
EXPIRES = 600
#: So many SUBSCRIBEs wait for their first NOTIFY at once.
AT_ONCE = 50
STATES = ("early", "confirmed", "terminated")
_NONCE = re.compile(rb'nonce="([^"]+)"')
_CALL_ID = re.compile(rb"\r\nCall-ID: (\d+)@")
_CSEQ = re.compile(rb"\r\nCSeq: (\d+) (\w+)")
_STATE = re.compile(rb"<state[^>]*>(\w+)</state>")
_KEPT = re.compile(rb"(?:Via|From|To|Call-ID|CSeq): [^\r]*\r\n")
Login = tuple[str, str, str]


@dataclass(slots=True)
class Seen:
    """What watchers were told; `first`, `last` and `told` by state; `whole`: watchers that were told everything."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    told: dict[str, set[int]] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)
    notifies: int = 0
    again: int = 0


class Watchers:
    """All phones, in one process and one loop."""

    def __init__(self, logins: Sequence[Login], count: int, target: tuple[str, int]) -> None:
        self.logins, self.count, self.target = logins, count, target
        self.seen = Seen()
        self._poll = select.epoll()
        self._sockets = [self._socket(number) for number in range(len(logins))]
        self._by_descriptor = {sock.fileno(): sock for sock in self._sockets}
        self._begun = 0
        self._waiting: dict[int, tuple[float, bytes]] = {}
        self._heard = [0] * count

    def _socket(self, number: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((f"127.2.{number}.1", 6000))
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return sock

    def run(self, pipe: Connection) -> None:
        """Until the pipe is closed; each message on it is answered with what was seen since the last."""
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        while True:
            self._subscribe(time.monotonic())
            for descriptor, _ in self._poll.poll(0.1, 256):
                if descriptor != pipe.fileno():
                    self._receive(self._by_descriptor[descriptor])
                    continue
                try:
                    if pipe.recv():
                        self.seen = Seen()
                except EOFError:
                    return
                pipe.send(self.seen)

    def _subscribe(self, now: float) -> None:
        while self._begun < self.count and len(self._waiting) < AT_ONCE:
            self._ask(self._begun, 1, "", now)
            self._begun += 1
        for number, (at, data) in list(self._waiting.items()):
            if now - at > 1.0:
                self._waiting[number] = (now, data)
                self._sockets[number % len(self.logins)].sendto(data, self.target)

    def _ask(self, number: int, cseq: int, nonce: str, now: float) -> None:
        user, realm, password = self.logins[number % len(self.logins)]
        sock = self._sockets[number % len(self.logins)]
        host, port = sock.getsockname()
        uri = f"sip:{EXTENSION}@{realm}"
        credentials = ""
        if nonce:
            ha1, ha2 = md5(f"{user}:{realm}:{password}".encode()).hexdigest(), md5(f"SUBSCRIBE:{uri}".encode()).hexdigest()
            response = md5(f"{ha1}:{nonce}:00000001:c:auth:{ha2}".encode()).hexdigest()
            credentials = (
                f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                f'response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"\r\n'
            )
        data = (
            f"SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{number}-{cseq}\r\n"
            f"From: <sip:{user}@{realm}>;tag={number}\r\nTo: <{uri}>\r\nCall-ID: {number}@{host}\r\nCSeq: {cseq} SUBSCRIBE\r\n"
            f"Max-Forwards: 70\r\nContact: <sip:{user}@{host}:{port}>\r\nEvent: dialog\r\nExpires: {EXPIRES}\r\n{credentials}"
            "Content-Length: 0\r\n\r\n"
        ).encode()
        self._waiting[number] = (now, data)
        sock.sendto(data, self.target)

    def _receive(self, sock: socket.socket) -> None:
        data, remote = sock.recvfrom(65_535)
        now = time.monotonic()
        found, cseq = _CALL_ID.search(data), _CSEQ.search(data)
        if found is None or cseq is None:
            return
        number = int(found[1])
        if data.startswith(b"NOTIFY "):
            head, _, body = data.partition(b"\r\n\r\n")
            sock.sendto(b"SIP/2.0 200 OK\r\n" + b"".join(_KEPT.findall(head + b"\r\n")) + b"Content-Length: 0\r\n\r\n", remote)
            self._told(number, int(cseq[1]), body, now)
        elif data.startswith(b"SIP/2.0 401") and (nonce := _NONCE.search(data)) is not None and cseq[1] == b"1":
            self._ask(number, 2, nonce[1].decode(), now)

    def _told(self, number: int, cseq: int, body: bytes, now: float) -> None:
        self._waiting.pop(number, None)
        if cseq <= self._heard[number]:
            self.seen.again += 1
            return
        self._heard[number] = cseq
        self.seen.notifies += 1
        if b'state="full"' in body:
            self.seen.whole.add(number)
            return
        for state in {match.decode() for match in _STATE.findall(body)}:
            self.seen.first.setdefault(state, now)
            self.seen.last[state] = now
            self.seen.told.setdefault(state, set()).add(number)


def watch(logins: Sequence[Login], count: int, target: tuple[str, int], pipe: Connection) -> None:
    """The process of the watchers."""
    Watchers(logins, count, target).run(pipe)


def take(pipe: Connection, *, afresh: bool = False) -> Seen:
    """What was seen; `afresh`: only what comes from now on."""
    pipe.send(afresh)
    found: Seen = pipe.recv()
    return found


def until_all(pipe: Connection, count: int, seconds: float, what: str, state: str = "") -> Seen:
    """Wait until every watcher was told everything, or this state."""
    deadline = time.monotonic() + seconds
    while True:
        seen = take(pipe)
        told = seen.told.get(state, set()) if state else seen.whole
        if len(told) >= count:
            return seen
        if time.monotonic() > deadline:
            print(f"only {len(told)} of {count} {what} in {seconds:.0f} s", flush=True)
            return seen
        time.sleep(0.2)


def measure(run: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    """Calls without watchers; watchers come; one call; calls with watchers; a kill."""
    logins = asyncio.run(provision(run, "crowd", ACCOUNTS, extensions=[{"id": EXTENSION, "destination": {"user_id": "u0"}}]))
    # Media hears of the company by the bus.
    time.sleep(5)
    (callee, realm, password), caller = logins[0], logins[1]
    users = [
        {"sip_user": caller[0], "sip_password": caller[2], "extension": ""},
        {"sip_user": callee, "sip_password": password, "extension": EXTENSION},
    ]
    company = run | {"tenants": {"dupont": {"users": users, "realm": realm}}}
    report(run_round(company, options.rate, options.seconds, 1.0, folder))
    host, _, port = str(run["sip"]["udp"]).rpartition(":")
    ours, theirs = multiprocessing.Pipe()
    arguments = (logins, options.watchers, (host, int(port)), theirs)
    process = multiprocessing.get_context("spawn").Process(target=watch, args=arguments, daemon=True)
    began = time.monotonic()
    process.start()
    theirs.close()
    try:
        until_all(ours, options.watchers, 120, "subscribed")
        print(f"{options.watchers} watch after {time.monotonic() - began:.1f} s", flush=True)
        take(ours, afresh=True)
        before = cpu_seconds(run["processes"])
        run_round(company, 1, 1, 8.0, folder)
        seen = until_all(ours, options.watchers, 30, "heard the end of the call", "terminated")
        used = cpu_seconds(run["processes"])["media"] - before["media"]
        spread = ", ".join(
            f"{state} {len(seen.told.get(state, ()))} in {1000 * (seen.last.get(state, 0.0) - seen.first.get(state, 0.0)):.0f} ms"
            for state in STATES
        )
        print(f"one call: {spread}; {seen.notifies} NOTIFYs, {seen.again} again; media {1e6 * used / max(1, seen.notifies):.0f} us each")
        take(ours, afresh=True)
        beside = run_round(company, options.rate, options.seconds, 1.0, folder)
        report(beside)
        seen = until_all(ours, options.watchers, 30, "heard the end of a call", "terminated")
        changes = 3 * beside.calls
        share = seen.notifies / max(1, changes * options.watchers)
        print(f"{changes} changes: {seen.notifies} NOTIFYs ({100 * share:.0f} % of one each), {seen.again} sent again", flush=True)
        print(f"set-up ms p95 beside them {percentile(beside.delays, 0.95):.0f}")
        take(ours, afresh=True)
        began = time.monotonic()
        os.kill(run["processes"]["media"], signal.SIGKILL)
        seen = until_all(ours, options.watchers, 120, "were told everything again")
        print(f"after kill -9 of media all were told everything {time.monotonic() - began:.1f} s later; {seen.again} sent again")
    finally:
        ours.close()
        process.join(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=5, help="calls a second")
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as name, running(Path(name)) as run:
        measure(run, options, Path(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
