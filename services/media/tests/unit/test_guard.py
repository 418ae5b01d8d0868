"""Limits and bans on a virtual clock."""

from itertools import pairwise

import pytest

from carillon_contracts.audit import AccountLocked, AuthenticationFailed, FloodRefused, SourceBanned
from carillon_media.domain.first_line import Kind
from carillon_media.domain.guard import Guard, Verdict, source_name
from carillon_media.domain.limits import GuardSettings

pytestmark = pytest.mark.feature("P-3")

SCANNER, OFFICE = "203.0.113.9", "198.51.100.7"
SMALL = GuardSettings(
    source_burst=10,
    source_rate=1,
    strangers_burst=40,
    strangers_rate=4,
    device_burst=5,
    device_rate=1,
    refusal_burst=3,
    refusal_rate=1,
    failures=5,
)


def guard(**changes: float) -> Guard:
    return Guard(GuardSettings(**{**{name: getattr(SMALL, name) for name in SMALL.__dataclass_fields__}, **changes}))


def outside(one: Guard, now: float, ip: str = SCANNER, port: int = 5060, transport: str = "udp", kind: Kind = Kind.OUTSIDE) -> Verdict:
    return one.arrive(transport, ip, port, kind, now)


def guess(one: Guard, now: float, times: int = 1, ip: str = SCANNER, account: str = "anne", transport: str = "udp") -> None:
    for _ in range(times):
        one.failed(transport, ip, account, "REGISTER", now)


# -- rates ------------------------------------------------------------------------------------------------------------


def test_a_flood_is_answered_for_a_while_then_refused_then_dropped_and_told_once() -> None:
    one = guard()
    seen = [outside(one, 100.0) for _ in range(20)]
    assert seen == [Verdict.PASS] * 10 + [Verdict.REFUSE] * 3 + [Verdict.DROP] * 7
    assert one.take_facts() == [FloodRefused(source=SCANNER, transport="udp", requests=1)]
    assert outside(one, 101.0) is Verdict.PASS
    assert one.bans(101.0) == []
    outside(one, 101.0)
    outside(one, 161.0)
    one.arrive("udp", SCANNER, 1, Kind.OUTSIDE, 161.0, 50)
    assert one.take_facts() == [FloodRefused(source=SCANNER, transport="udp", requests=9 + 1 + 50)]


def test_a_flood_from_forged_addresses_bans_nobody_and_leaves_who_is_known_alone() -> None:
    one = guard()
    one.succeeded("udp", OFFICE, "anne", 99.0)
    heard = sum(outside(one, 100.0, f"192.0.2.{n}") is Verdict.PASS for n in range(200))
    assert heard == 40
    assert outside(one, 100.0, OFFICE) is Verdict.PASS
    assert one.bans(100.0) == []


def test_who_proves_himself_each_time_never_runs_out() -> None:
    one = guard()
    for n in range(500):
        assert outside(one, 100.0, OFFICE) is Verdict.PASS, n
        assert outside(one, 100.0, OFFICE) is Verdict.PASS, n
        one.succeeded("udp", OFFICE, "anne", 100.0)


def test_calls_that_are_up_are_heard_while_their_source_floods() -> None:
    one = guard()
    one.succeeded("udp", OFFICE, "anne", 100.0)
    while outside(one, 100.0, OFFICE) is Verdict.PASS:
        pass
    assert all(outside(one, 100.0, OFFICE, kind=Kind.WITHIN) is Verdict.PASS for _ in range(1000))


def test_a_registered_device_is_heard_beside_a_flood_that_claims_its_address() -> None:
    one = guard()
    one.registered("udp", OFFICE, 5062, 700.0)
    while outside(one, 100.0, OFFICE, port=9) is Verdict.PASS:
        pass
    assert outside(one, 100.0, OFFICE, port=5062) is Verdict.PASS
    assert outside(one, 100.0, OFFICE, port=9) is not Verdict.PASS


def test_a_flood_over_a_connection_closes_it_and_is_banned_in_the_end() -> None:
    one = guard()
    while outside(one, 100.0, transport="tcp") is Verdict.PASS:
        pass
    assert outside(one, 100.0, transport="tcp") is Verdict.DROP
    (ban,) = one.bans(100.0)
    assert (ban.name, ban.reason) == (SCANNER, "flood")


# -- bans -------------------------------------------------------------------------------------------------------------


def test_failures_ban_and_each_ban_is_longer() -> None:
    one, now, lengths = guard(), 1000.0, []
    for _ in range(6):
        guess(one, now, 5)
        (ban,) = one.bans(now)
        lengths.append(ban.until - now)
        assert outside(one, now + 1) is Verdict.DROP
        assert not one.connected(SCANNER, now + 1)
        now = ban.until
        assert outside(one, now) is Verdict.PASS
    assert lengths == [60, 300, 1800, 10_800, 86_400, 86_400]
    told = [fact for fact in one.take_facts() if isinstance(fact, SourceBanned)]
    assert [fact.offence for fact in told] == [1, 2, 3, 4, 5, 6]
    assert told[0].accounts == ("anne",)
    guess(one, now + 2 * 86_400, 5)
    assert one.bans(now + 2 * 86_400)[0].offence == 1


def test_a_phone_with_an_old_password_is_never_banned() -> None:
    one = guard()
    for n in range(1000):
        guess(one, 30.0 * n, ip=OFFICE, account="old")
    assert one.bans(30_000.0) == one.locks(30_000.0) == []


def test_a_success_does_not_pay_for_guesses() -> None:
    one = guard()
    for _ in range(5):
        guess(one, 100.0, account="anne")
        one.succeeded("udp", SCANNER, "mallory", 100.0)
    assert [ban.name for ban in one.bans(100.0)] == [SCANNER]


def test_a_ban_hits_strangers_not_the_phones_behind_the_same_address() -> None:
    one = guard()
    one.registered("udp", OFFICE, 5062, 700.0)
    guess(one, 100.0, 5, ip=OFFICE, account="other")
    assert outside(one, 100.0, OFFICE, port=40_000) is Verdict.DROP
    assert outside(one, 100.0, OFFICE, port=5062) is Verdict.PASS
    assert one.connected(OFFICE, 100.0)
    assert outside(one, 701.0, OFFICE, port=5062) is Verdict.PASS
    one.expire(701.0)
    guess(one, 701.0, 5, ip=OFFICE, account="other")
    assert outside(one, 702.0, OFFICE, port=5062) is Verdict.DROP


def test_help_can_be_called_from_a_banned_address_where_a_device_is_registered() -> None:
    one = guard()
    one.registered("udp", OFFICE, 5062, 700.0)
    guess(one, 100.0, 5, ip=OFFICE, account="other")
    assert outside(one, 100.0, OFFICE, port=40_000, kind=Kind.HELP) is Verdict.PASS
    assert outside(one, 100.0, OFFICE, port=40_000, kind=Kind.WITHIN) is Verdict.PASS
    guess(one, 100.0, 5, ip=SCANNER, account="other")
    assert outside(one, 100.0, SCANNER, kind=Kind.HELP) is Verdict.DROP


def test_trunks_and_named_networks_are_never_banned_or_slowed() -> None:
    one = guard()
    one.free(OFFICE, 200.0)
    guess(one, 100.0, 50, ip=OFFICE)
    assert all(outside(one, 100.0, OFFICE) is Verdict.PASS for _ in range(100))
    assert one.bans(100.0) == []
    guess(one, 100.0, 5)
    one.free(SCANNER, 200.0)
    assert outside(one, 100.0) is Verdict.PASS


def test_challenges_that_nobody_answers_count_over_connections_only() -> None:
    one = guard()
    for _ in range(100):
        one.challenged("udp", SCANNER, 100.0)
    assert one.bans(100.0) == []
    for _ in range(200):
        one.challenged("tcp", OFFICE, 100.0)
        one.succeeded("tcp", OFFICE, "anne", 100.0)
    assert one.bans(100.0) == []
    for _ in range(26):
        one.challenged("tcp", SCANNER, 100.0)
    assert one.bans(100.0)[0].reason == "unanswered_challenges"


def test_ipv6_is_counted_by_its_first_64_bits_and_mapped_addresses_as_ipv4() -> None:
    one = guard()
    for n in range(5):
        guess(one, 100.0, ip=f"2001:db8:1:2::{n:x}")
    assert one.bans(100.0)[0].name == "2001:db8:1:2::/64"
    assert outside(one, 100.0, "2001:db8:1:2:ffff::1") is Verdict.DROP
    assert outside(one, 100.0, "2001:db8:1:3::1") is Verdict.PASS
    assert source_name("::ffff:192.0.2.1") == "192.0.2.1"
    assert one.lift("2001:db8:1:2::7", 100.0)


def test_a_lifted_ban_forgets_what_was_done() -> None:
    one = guard()
    guess(one, 100.0, 5)
    assert one.lift(SCANNER, 101.0)
    assert not one.lift(SCANNER, 101.0)
    guess(one, 102.0, 4)
    assert one.bans(102.0) == []


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_guesses_from_everywhere_lock_an_account_but_not_its_owner() -> None:
    one = guard()
    one.succeeded("udp", OFFICE, "anne", 50.0)
    for n in range(5):
        guess(one, 100.0, ip=f"192.0.2.{n}")
    assert [lock.name for lock in one.locks(100.0)] == ["anne"]
    assert one.may_try(OFFICE, "anne", 100.0)
    assert not one.may_try(SCANNER, "anne", 100.0)
    assert one.may_try(SCANNER, "bob", 100.0)
    assert one.may_try(SCANNER, "anne", 161.0)
    locked = [fact for fact in one.take_facts() if isinstance(fact, AccountLocked)]
    assert locked == [AccountLocked(account="anne", seconds=60.0, offence=1, source="192.0.2.4")]


def test_who_goes_on_at_a_locked_account_is_banned_in_the_end() -> None:
    one = guard(failures=3)
    for n in range(3):
        guess(one, 100.0, ip=f"192.0.2.{n}")
    assert one.bans(100.0) == []
    for _ in range(3):
        assert not one.may_try(SCANNER, "anne", 100.0)
        one.persisted(SCANNER, 100.0)
    assert [ban.name for ban in one.bans(100.0)] == [SCANNER]


def test_a_lock_can_be_lifted() -> None:
    one = guard(failures=3)
    guess(one, 100.0, 3)
    assert one.unlock("anne", 100.0)
    assert one.may_try(SCANNER, "anne", 100.0)
    assert not one.unlock("anne", 100.0)


def test_failures_are_told_at_once_then_once_a_minute_with_their_number() -> None:
    one = guard(failures=1000)
    for second in range(61):
        guess(one, 100.0 + second, 2)
    told = [fact for fact in one.take_facts() if isinstance(fact, AuthenticationFailed)]
    assert [fact.times for fact in told] == [1, 120]
    assert (told[0].source, told[0].account, told[0].method, told[0].transport) == (SCANNER, "anne", "REGISTER", "udp")


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_every_table_is_bounded() -> None:
    one = guard(max_sources=50, max_accounts=40, max_bans=30, max_devices=20, failures=1, source_burst=5)
    for n in range(1000):
        ip = f"10.{n // 250}.{n % 250}.1"
        one.arrive("udp", ip, 5060, Kind.OUTSIDE, float(n))
        one.registered("udp", ip, 5060, 1e9)
        guess(one, float(n), ip=ip, account=f"{n}" * 100)
    assert one.sizes() == (50, 40, 50, 30, 30, 20)
    one.expire(1e10)
    assert one.sizes() == (50, 40, 50, 0, 0, 0)


def test_what_ends_last_is_listed_first() -> None:
    one = guard(failures=1)
    for n, ip in enumerate(("192.0.2.1", "192.0.2.2", "192.0.2.3")):
        guess(one, 100.0 + n, ip=ip, account=ip)
    bans = one.bans(103.0)
    assert [ban.name for ban in bans] == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]
    assert all(left.until >= right.until for left, right in pairwise(bans))
    assert len(one.bans(161.0)) == 2 - 1
