"""Passwords: what is looked at, what it costs, and that strangers learn nothing. Work is counted, not timed."""

import hmac
import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_kit.clock import ManualClock
from carillon_media.domain.accounts import Accounts
from carillon_media.handlers.doorkeeper import Doorkeeper, TryLater
from carillon_sip import Credentials
from carillon_sip import digest as digest_module
from carillon_sip.digest import Authenticator, Verdict, answer_challenges, ha1
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Headers, Request

pytestmark = [pytest.mark.feature("P-3"), pytest.mark.feature("M-1")]

REALM = "dupont.example"
HERE, THERE = (Flow("udp", ("192.0.2.1", 5060), (ip, 5060)) for ip in ("203.0.113.9", "203.0.113.10"))


class Passwords:
    """Remembers what it was told; locks whom the test says."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.locked: set[str] = set()

    def client(self, flow: Flow) -> str:
        return flow.remote[0]

    def may_try(self, flow: Flow, account: str) -> bool:
        return account not in self.locked

    def challenged(self, flow: Flow) -> None:
        self.told.append(("challenged",))

    def succeeded(self, flow: Flow, account: str) -> None:
        self.told.append(("succeeded", account))

    def failed(self, flow: Flow, account: str, method: str) -> None:
        self.told.append(("failed", account, method))


class Door:
    def __init__(self) -> None:
        self.accounts = Accounts()
        hashes: dict[str, Any] = {"ha1_md5": ha1("anne", REALM, "secret", "MD5"), "ha1_sha256": ha1("anne", REALM, "secret", "SHA-256")}
        config = TenantConfig("dupont")
        credential = {"id": "anne", "user_id": "anne", "realm": REALM, **hashes}
        for seq, (kind, after) in enumerate((("tenant", {"id": "dupont", "realm": REALM}), ("sip_credential", credential)), 1):
            change = ConfigChanged(resource=kind, resource_id=after["id"], action="created", after=after, actor="t")
            config = evolve(config, seq, change)
        self.accounts.update(config)
        self.clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
        self.passwords = Passwords()
        self.keeper = Doorkeeper(self.accounts, Authenticator(b"key"), self.clock, self.passwords, "carillon")

    def request(self, user: str, authorization: str = "", host: str = REALM, uri: str = "sip:102@dupont.example") -> Request:
        fields = [("From", f"<sip:{user}@{host}>;tag=1"), ("To", f"<sip:102@{host}>"), ("User-Agent", "carillon")]
        return Request("INVITE", uri, Headers.of([*fields, *([("Proxy-Authorization", authorization)] if authorization else [])]))

    def challenge(self, user: str, flow: Flow = HERE, algorithm: str = "MD5", host: str = REALM) -> str:
        request = self.request(user, host=host)
        verdict, _, realm = self.keeper.check(request, "Proxy-Authorization", flow)
        assert verdict is Verdict.NO_CREDENTIALS
        offered = self.keeper.challenges(request, realm, flow, stale=False, salt="s")
        return next(value for value in offered if f"algorithm={algorithm}," in value)

    def answer(self, user: str, password: str, challenge: str, uri: str = "sip:102@dupont.example", count: int = 1) -> str:
        value = answer_challenges([challenge], Credentials(user, password), "INVITE", uri, "cnonce", count)
        assert value is not None
        return value

    def check(self, user: str, authorization: str, flow: Flow = HERE, **options: str) -> Verdict:
        return self.keeper.check(self.request(user, authorization, **options), "Proxy-Authorization", flow)[0]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Hashes computed and bytes that went into them, HMACs, and look-ups of credentials."""
    counted: Counter[str] = Counter()
    plain, mac, credential = digest_module._digest, hmac.digest, Accounts.credential

    def hashed(algorithm: Any, text: str) -> str:
        counted["hashes"] += 1
        counted["bytes"] += len(text)
        return plain(algorithm, text)

    def signed(*arguments: Any) -> Any:
        counted["macs"] += 1
        return mac(*arguments)

    def looked_up(self: Accounts, sip_user: str) -> Any:
        counted["look-ups"] += 1
        return credential(self, sip_user)

    monkeypatch.setattr(digest_module, "_digest", hashed)
    monkeypatch.setattr(digest_module, "hmac", SimpleNamespace(digest=signed, compare_digest=hmac.compare_digest))
    monkeypatch.setattr(Accounts, "credential", looked_up)
    return counted


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("host", [REALM, "192.0.2.1"])
def test_an_unknown_user_costs_what_a_wrong_password_costs(door: Door, work: Counter[str], algorithm: str, host: str) -> None:
    spent = []
    for user in ("anne", "evan"):
        answer = door.answer(user, "guess", door.challenge(user, algorithm=algorithm, host=host))
        work.clear()
        assert door.check(user, answer, host=host) is Verdict.WRONG
        spent.append(dict(work))
    assert spent[0] == spent[1]
    assert spent[0]["hashes"] == 2
    assert door.passwords.told[-4:] == [("challenged",), ("failed", "anne", "INVITE"), ("challenged",), ("failed", "evan", "INVITE")]


def test_the_right_password_passes_once_for_each_count(door: Door) -> None:
    challenge = door.challenge("anne")
    first, second = (door.answer("anne", "secret", challenge, count=count) for count in (1, 2))
    assert door.check("anne", first) is Verdict.OK
    assert door.check("anne", first) is Verdict.STALE
    assert door.check("anne", second) is Verdict.OK


def test_nobody_answers_a_challenge_that_was_sent_to_somebody_else(door: Door, work: Counter[str]) -> None:
    """Neither to have a victim banned by forged datagrams, nor to guess without being counted: right and wrong are answered alike."""
    challenge = door.challenge("anne", THERE)
    for password in ("secret", "guess"):
        answer = door.answer("anne", password, challenge)
        work.clear()
        door.passwords.told.clear()
        assert door.check("anne", answer) is Verdict.STALE
        assert (work["hashes"], door.passwords.told) == (0, [])
    assert door.check("anne", door.answer("anne", "secret", challenge), THERE) is Verdict.OK


def test_a_forged_or_old_nonce_is_stale_whatever_the_password(door: Door) -> None:
    foreign = Authenticator(b"another key").challenges(REALM, door.clock.monotonic(), client=HERE.remote[0])[1]
    for password in ("secret", "guess"):
        assert door.check("anne", door.answer("anne", password, foreign)) is Verdict.STALE
    challenge = door.challenge("anne")
    door.clock.advance(301)
    assert door.check("anne", door.answer("anne", "secret", challenge)) is Verdict.STALE


@pytest.mark.parametrize("user", ["anne", "evan"])
def test_a_locked_account_costs_no_digest_whether_it_exists_or_not(door: Door, work: Counter[str], user: str) -> None:
    answer = door.answer(user, "secret", door.challenge(user))
    door.passwords.locked.add(user)
    work.clear()
    with pytest.raises(TryLater):
        door.check(user, answer)
    assert work["hashes"] == work["look-ups"] == 0


@pytest.mark.parametrize("user", ["anne", "evan"])
def test_a_digest_for_another_target_is_refused(door: Door, user: str) -> None:
    answer = door.answer(user, "secret", door.challenge(user), uri="sip:900@dupont.example")
    with pytest.raises(ParseError):
        door.check(user, answer)


@pytest.mark.parametrize("uri", ["sip:102@192.0.2.1:5060;transport=udp", "sip:192.0.2.1:5060", "sip:102@dupont.example"])
def test_hosts_may_differ_because_edges_rewrite_them(door: Door, uri: str) -> None:
    assert door.check("anne", door.answer("anne", "secret", door.challenge("anne"), uri=uri)) is Verdict.OK


def test_time_does_not_tell_an_unknown_user_from_a_wrong_password(door: Door) -> None:
    """How often a wrong password takes longer than an unknown user, both tried in turn: about as often as not."""
    answers = {user: [door.answer(user, "guess", door.challenge(user), count=n) for n in range(1, 401)] for user in ("anne", "evan")}
    times: dict[str, list[int]] = {"anne": [], "evan": []}
    for turn in range(400):
        for user in ("anne", "evan") if turn % 2 else ("evan", "anne"):
            request = door.request(user, answers[user][turn])
            begun = time.perf_counter_ns()
            door.keeper.check(request, "Proxy-Authorization", HERE)
            times[user].append(time.perf_counter_ns() - begun)
    slower = sum((known > unknown) + (known == unknown) / 2 for known in times["anne"] for unknown in times["evan"])
    assert 0.3 < slower / len(times["anne"]) ** 2 < 0.7
