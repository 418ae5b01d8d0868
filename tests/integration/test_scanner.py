"""A scanner's run: extensions tried, passwords guessed, floods. It learns nothing, is banned, is told of, and disturbs nobody.

Each attacker has an address of its own in 127.0.0.0/8, so that the phones of other tests are not banned with it.
"""

import asyncio
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from strangers.sipp import Sipp, credentials, register
from strangers.story import Story
from strangers.system import System, until

pytestmark = [pytest.mark.feature("P-3"), pytest.mark.feature("M-1")]

SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
#: What differs between any two answers: tokens, and the request's own numbers.
VARIES = re.compile(r'(nonce="|branch=|tag=|Call-ID: |rport=|CSeq: )[^;,"\r]*')


class Scanner:
    """Sends requests of its own making from one address, and reads what comes back."""

    def __init__(self, system: System, ip: str, transport: str = "udp") -> None:
        self.target, self.realm, self.ip, self.transport = system.sip, system.tenant["realm"], ip, transport
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.bind((ip, 0))
        if transport == "tcp":
            self.sock.connect(self.target)
        self.here = f"{ip}:{self.sock.getsockname()[1]}"
        self.number = 0
        self.come = b""

    def __enter__(self) -> "Scanner":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def request(self, method: str, called: str, user: str, authorization: str = "") -> bytes:
        self.number += 1
        body = SDP.format(ip=self.ip) if method == "INVITE" else ""
        uri = self.uri(method, called)
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {self.here};branch=z9hG4bK{self.here}-{self.number};rport",
            f"From: <sip:{user}@{self.realm}>;tag={self.number}",
            f"To: <sip:{called}@{self.realm}>",
            f"Call-ID: {self.number}@{self.here}",
            f"CSeq: {self.number} {method}",
            f"Contact: <sip:{user}@{self.here}>",
            "Max-Forwards: 70",
            *([authorization] if authorization else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body]).encode()

    def uri(self, method: str, called: str) -> str:
        return f"sip:{self.realm}" if method == "REGISTER" else f"sip:{called}@{self.realm}"

    def ask(self, data: bytes) -> str:
        """The final answer to this request, not one to an earlier INVITE that is sent again; empty: none came."""
        self.send(data)
        own = next((line for line in data.decode().split("\r\n") if line.startswith("Call-ID: ")), "")
        try:
            while (answer := self.read()).startswith("SIP/2.0 1") or (answer and own not in answer.split("\r\n")):
                pass
            return answer
        except (TimeoutError, ConnectionResetError):
            return ""

    def read(self) -> str:
        """The next message (none that comes here has a body); empty at the end of a connection."""
        while b"\r\n\r\n" not in self.come:
            data = self.sock.recv(65_536)
            if not data:
                return ""
            self.come += data
        message, end, self.come = self.come.partition(b"\r\n\r\n")
        return (message + end).decode()

    def send(self, data: bytes) -> None:
        if self.transport == "udp":
            self.sock.sendto(data, self.target)
        else:
            self.sock.sendall(data)

    def try_password(self, method: str, called: str, user: str, password: str) -> str:
        """The answer to a digest with this password."""
        challenge = self.ask(self.request(method, called, user))
        found = dict(re.findall(r'(realm|nonce)="([^"]*)"', challenge))
        if not found:
            return challenge
        uri = self.uri(method, called)
        a1, a2 = (hashlib.md5(text.encode()).hexdigest() for text in (f"{user}:{found['realm']}:{password}", f"{method}:{uri}"))
        response = hashlib.md5(f"{a1}:{found['nonce']}:00000001:c:auth:{a2}".encode()).hexdigest()
        field = "Authorization" if "WWW-Authenticate" in challenge else "Proxy-Authorization"
        digest = f'username="{user}", realm="{found["realm"]}", nonce="{found["nonce"]}", uri="{uri}", response="{response}"'
        return self.ask(self.request(method, called, user, f"{field}: Digest {digest}, qop=auth, nc=00000001, cnonce=c, algorithm=MD5"))


def bare(answer: str, *names: str) -> str:
    """An answer without what differs between any two of them, nor the names that were asked for."""
    for name in names:
        answer = answer.replace(f"sip:{name}@", "sip:SOMEBODY@")
    return VARIES.sub(r"\1*", answer)


@asynccontextmanager
async def heard(url: str, subject: str, inbox: str = "_INBOX") -> AsyncIterator[list[dict[str, Any]]]:
    """Events as a plain NATS client sees them."""
    seen: list[dict[str, Any]] = []

    async def on_message(message: Msg) -> None:
        seen.append({**json.loads(message.data), "on": message.subject})

    client = await nats.connect(url, inbox_prefix=inbox, allow_reconnect=False)
    try:
        await client.subscribe(subject, cb=on_message)
        await client.flush()
        yield seen
    finally:
        await client.close()


async def told(seen: list[dict[str, Any]], fact: str, source: str, seconds: float = 10) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            for event in seen:
                if event["on"].endswith(f".audit.{fact}") and event["data"].get("source") == source:
                    return event
            await asyncio.sleep(0.02)


def bans(system: System) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in system.carillon("bans", "--json").splitlines() if line]
    return {ban["source"] or ban["account"]: ban for ban in found}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_names_and_extensions_cannot_be_told_apart(system: System, transport: str) -> None:
    known, unknown = system.user("103")["sip_user"], "nobody-of-us"
    ip = "127.0.0.41" if transport == "udp" else "127.0.0.42"
    with Scanner(system, ip, transport) as one:
        for method, called in (("REGISTER", None), ("INVITE", "102"), ("INVITE", "0041791234567")):
            for password in (None, "guess"):
                answers = []
                for user in (known, unknown):
                    to = called or user
                    answer = one.ask(one.request(method, to, user)) if password is None else one.try_password(method, to, user, password)
                    answers.append(bare(answer, user))
                assert answers[0] == answers[1]
                assert answers[0].split()[1] == ("403" if password else "401" if method == "REGISTER" else "407")
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            answers = [bare(one.ask(one.request(method, called, "x")), called) for called in ("102", "199", known, unknown)]
            assert len(set(answers)) == 1, method
    assert ip not in bans(system)


async def test_a_password_list_is_banned_and_told_of_without_a_secret(system: System) -> None:
    victim, ip = system.user("103")["sip_user"], "127.0.0.43"
    tenant = system.tenant["nats"]["url"]
    async with (
        heard(system.run["nats"]["url"], "carillon.*.audit.>") as operator,
        heard(tenant, "carillon.dupont.>", "_INBOX.dupont") as own,
    ):

        def guess() -> list[str]:
            with Scanner(system, ip) as one:
                answers = [one.try_password("REGISTER", name, name, f"hunter{n}") for n in range(10) for name in (victim, "nobody-of-us")]
                one.sock.settimeout(0.5)
                return [*answers, one.ask(one.request("OPTIONS", "102", "x"))]

        *answers, after = await asyncio.to_thread(guess)
        assert {answer.split()[1] for answer in answers} == {"403"}
        assert after == ""
        banned = await told(operator, "source_banned", ip)
        failed = await told(own, "authentication_failed", ip)
    assert (banned["on"], banned["tenantid"]) == ("carillon._operator.audit.source_banned", "_operator")
    assert (banned["data"]["reason"], banned["data"]["seconds"], banned["data"]["offence"]) == ("failures", 60, 1)
    assert set(banned["data"]["accounts"]) == {victim, "nobody-of-us"}
    assert (failed["data"]["account"], failed["data"]["method"]) == (victim, "REGISTER")
    assert "nobody-of-us" not in json.dumps(own)
    assert not re.search(r"hunter|nonce|response", json.dumps(operator))
    assert bans(system)[ip]["reason"] == "failures"
    system.carillon("bans", "--lift", ip)
    with Scanner(system, ip) as one:
        assert one.ask(one.request("OPTIONS", "102", "x")).startswith("SIP/2.0 200 ")
    system.carillon("bans", "--lift", ip, code=1)


async def test_who_tries_extensions_over_tcp_and_never_answers_is_banned(system: System) -> None:
    ip = "127.0.0.44"

    def scan() -> int:
        with Scanner(system, ip, "tcp") as one:
            try:
                for tried in range(500):
                    if not one.ask(one.request("INVITE", str(100 + tried), "x")):
                        return tried
            except OSError:
                return tried
        return 500

    async with heard(system.run["nats"]["url"], "carillon._operator.audit.>") as seen:
        tried = await asyncio.to_thread(scan)
        banned = await told(seen, "source_banned", ip)
    assert 20 < tried < 150
    assert banned["data"]["reason"] == "unanswered_challenges"
    with Scanner(system, ip, "tcp") as one:
        assert one.ask(b"OPTIONS") == ""


@contextmanager
def flood(system: System, ips: list[str], rate: float) -> Iterator[list[int]]:
    """INVITE, REGISTER and OPTIONS from each address, so many a second together, until the end of the context; how many were sent."""
    sent, stop = [0], threading.Event()

    def run() -> None:
        scanners = [Scanner(system, ip) for ip in ips]
        begun = time.monotonic()
        while not stop.is_set():
            due = int((time.monotonic() - begun) * rate) - sent[0]
            for _ in range(min(due, 200)):
                one = scanners[sent[0] % len(scanners)]
                one.send(one.request(("INVITE", "REGISTER", "OPTIONS")[sent[0] % 3], "102", "x"))
                sent[0] += 1
            stop.wait(0.005)
        for one in scanners:
            one.sock.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


async def test_a_flood_is_refused_and_the_calls_of_others_are_unharmed(system: System, record_property: Any) -> None:
    """Calls set up before it go on, those set up during it succeed; it is refused, told of, and bans nobody: it could be forged."""
    known, realm = system.call_ids(), system.tenant["realm"]
    caller, calls = system.user("101"), 40
    ips = ["127.0.0.45", "127.0.0.46", "127.0.0.47"]
    port = register(system.sip, realm, system.user("106"))
    keys = {"user": caller["sip_user"], "realm": realm, "dest": "106"}
    try:
        with (
            Sipp("answer.xml", system.sip, "-d", "50", "-aa", port=port, calls=2 * calls, seconds=180),
            Sipp(
                "call_with_authentication.xml", system.sip, "-r", "5", "-d", "3000", *credentials(caller), calls=calls, seconds=120, **keys
            ) as up,
        ):
            async with heard(system.run["nats"]["url"], "carillon._operator.audit.>") as seen:
                with closing(Story(system)) as story:
                    until(lambda: len(story.live_calls()) >= 5, "calls are up")
                with flood(system, ips, rate=2000) as sent:
                    for ip in ips:
                        await told(seen, "flood_refused", ip, 30)
                    status = await asyncio.to_thread(up.wait)
                assert status == 0, up.complaint()
    finally:
        register(system.sip, realm, system.user("106"), port=port, expires=0)
    records = system.new_records(known, calls)
    assert {record["status"] for record in records} == {"answered"}
    record_property("requests_of_the_flood", sent[0])
    assert not set(ips) & set(bans(system))
