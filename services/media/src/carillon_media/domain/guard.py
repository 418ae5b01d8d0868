"""Who is answered, who must wait, who is not heard at all: limits and bans per source address and per account, as data.

What always holds:

- *A ban needs a proof of address.* UDP sources are forged with one line of code, so whatever came by UDP counts towards a ban only when
  it answered a challenge that was sent to that very address: a completed digest round trip (`failed`). A nonce is bound to the address
  that it was sent to, so a nonce that an attacker fetched for himself proves nothing about the victim whom he pretends to be. Over TCP and
  TLS the handshake is the proof, so unanswered challenges and floods count too. All else by UDP is only slowed down (`arrive`).
- *A ban hits strangers.* A device that is registered from exactly this flow goes on as before, so one broken phone, or one infected
  computer, does not silence the office behind the same address; and who forges packets of a registered phone must guess its port.
  It has a bucket of its own, so a flood that claims its address does not use up what it may send.
- *A lock does not lock out the owner.* Wrong passwords for one account, from wherever, lock it only for addresses that never had
  its password: who guesses at Anne's password does not stop Anne's phone.
- *Nobody is banned by failures of others where we would hurt ourselves*: trunks and the networks of the setting `never_ban` (SIP
  edges, our own monitoring) are never banned or slowed: the caller says so (`free`). What a forged carrier's address can do is
  bounded by the limits of calls and by their backlog.
- *An emergency call passes* every limit and ban here when some device is registered from its source, with what such a call needs (ACK,
  responses, BYE); whether it is that device is then proved by digest as ever.
- An account that does not exist is counted and locked exactly like one that does. Failures are forgiven one by one as time passes,
  so that a phone with an old password that tries every half minute is never banned; a success does not forgive, or an attacker
  with one account of his own could guess for ever.
- Every table is bounded; the longest unused entry goes first. Time is monotonic seconds and an argument.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import Literal

from carillon_contracts.audit import AccountLocked, AuthenticationFailed, FloodRefused, SourceBanned
from carillon_media.domain.first_line import Kind
from carillon_media.domain.guard_memory import GuardMemory, KeptBan, KeptEntry, KeptFailures, worth_keeping
from carillon_media.domain.limits import Bucket, Failures, GuardSettings, Table

Reason = Literal["failures", "unanswered_challenges", "flood"]
Fact = AuthenticationFailed | SourceBanned | AccountLocked | FloodRefused
Flow = tuple[str, int]


class Verdict(Enum):
    """What becomes of a message: it is heard, answered with 503 and Retry-After, or dropped (a connection: closed)."""

    PASS = auto()
    REFUSE = auto()
    DROP = auto()


@dataclass(slots=True)
class _Source:
    bucket: Bucket
    refusals: Bucket
    failures: Failures = field(default_factory=Failures)
    #: No stranger, or not limited at all, until then.
    proven_until: float = 0.0
    free_until: float = 0.0
    accounts: tuple[str, ...] = ()
    refused: int = 0
    reported_at: float = float("-inf")


@dataclass(slots=True)
class _Account:
    failures: Failures = field(default_factory=Failures)
    owners: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Device:
    until: float
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Ban:
    """A source or an account that is kept out until a time."""

    name: str
    reason: Reason
    until: float
    offence: int


#: Owners' addresses remembered for an account.
_OWNERS = 16
_ACCOUNTS_TOLD = 10
#: Between two looks at every device.
_EXPIRE_SECONDS = 30.0
_LONGEST_ACCOUNT = 64


class Guard:
    """All limits of a node. What is worth telling waits in `facts` until it is taken."""

    def __init__(self, settings: GuardSettings | None = None) -> None:
        self.settings = settings = settings or GuardSettings()
        self._sources: Table[_Source] = Table(
            settings.max_sources, lambda: _Source(Bucket(settings.source_burst, 0.0), Bucket(settings.refusal_burst, 0.0))
        )
        self._accounts: Table[_Account] = Table(settings.max_accounts, _Account)
        self._reports: Table[list[float]] = Table(settings.max_sources, lambda: [float("-inf"), 0])
        self._strangers = Bucket(settings.strangers_burst, 0.0)
        self._bans: dict[str, Ban] = {}
        self._locks: dict[str, Ban] = {}
        self._devices: dict[str, dict[Flow, _Device]] = {}
        self._device_count = 0
        self._expired_at = float("-inf")
        self.facts: list[Fact] = []
        #: Counts what a restart should not forget.
        self.changes = 0

    # -- messages -----------------------------------------------------------------------------------------------------

    def arrive(self, transport: str, ip: str, port: int, kind: Kind, now: float, requests: int = 1) -> Verdict:
        """A datagram, or a chunk of a stream with so many `requests` that begin something."""
        name = source_name(ip)
        source = self._sources.find(name) or self._sources.use(name)
        if source.free_until > now:
            return Verdict.PASS
        devices = self._devices.get(name)
        if devices is not None:
            device = devices.get((transport, port))
            if device is not None and device.until > now:
                if kind is not Kind.OUTSIDE or device.bucket.take(self.settings.device_rate, self.settings.device_burst, now, requests):
                    return Verdict.PASS
            elif kind is not Kind.OUTSIDE and any(other.until > now for other in devices.values()):
                return Verdict.PASS
        if name in self._bans and self._banned(name, now):
            return Verdict.DROP
        return self._limited(name, source, transport, kind, now, requests)

    def _limited(self, name: str, source: _Source, transport: str, kind: Kind, now: float, requests: int) -> Verdict:
        settings = self.settings
        proven = source.proven_until > now
        if proven and (kind is Kind.WITHIN or not requests):
            return Verdict.PASS
        tokens = max(1, requests)
        if source.bucket.take(settings.source_rate, settings.source_burst, now, tokens) and (
            proven or self._strangers.take(settings.strangers_rate, settings.strangers_burst, now, tokens)
        ):
            return Verdict.PASS
        source.refused += tokens
        if now - source.reported_at >= settings.report_seconds:
            self.facts.append(FloodRefused(source=name, transport=transport, requests=source.refused))
            source.refused, source.reported_at = 0, now
        if transport != "udp":
            self._count(name, source, settings.flood_weight, "flood", now)
            return Verdict.DROP
        refuse = kind is Kind.OUTSIDE and source.refusals.take(settings.refusal_rate, settings.refusal_burst, now)
        return Verdict.REFUSE if refuse else Verdict.DROP

    def free(self, ip: str, until: float) -> None:
        """Nothing of this source is limited or banned until then: it is a trunk's, or of a network that the settings name."""
        name = source_name(ip)
        self._sources.use(name).free_until = until
        self._bans.pop(name, None)

    def connected(self, ip: str, now: float) -> bool:
        """A connection was opened; False: close it. Devices behind a banned address may come back over a new one."""
        name = source_name(ip)
        source = self._sources.find(name)
        free = source is not None and source.free_until > now
        return free or name in self._devices or not (name in self._bans and self._banned(name, now))

    # -- proofs -------------------------------------------------------------------------------------------------------

    def may_try(self, ip: str, account: str, now: float) -> bool:
        """Whether a password for this account is looked at when it comes from there; it costs no digest to say no."""
        lock = self._locks.get(account[:_LONGEST_ACCOUNT])
        if lock is None or lock.until <= now:
            return True
        known = self._accounts.find(lock.name)
        return known is not None and known.owners.get(source_name(ip), 0.0) > now

    def persisted(self, ip: str, now: float) -> None:
        """A password came for an account that is locked: not looked at, but counted, or a lock would shelter who caused it from a ban."""
        name = source_name(ip)
        self._count(name, self._sources.use(name), 1.0, "failures", now)

    def challenged(self, transport: str, ip: str, now: float) -> None:
        """A challenge was sent. Who opened a connection and never answers one is looking for accounts."""
        if transport != "udp":
            name = source_name(ip)
            self._count(name, self._sources.use(name), self.settings.challenge_weight, "unanswered_challenges", now)

    def succeeded(self, transport: str, ip: str, account: str, now: float) -> None:
        """A password was right."""
        settings, name = self.settings, source_name(ip)
        source = self._sources.use(name)
        source.proven_until = now + settings.proof_seconds
        source.bucket.give(settings.source_burst, 2.0)
        if transport != "udp":
            source.failures.points = max(0.0, source.failures.points - settings.challenge_weight)
        owners = self._accounts.use(account[:_LONGEST_ACCOUNT]).owners
        self.changes += name not in owners
        owners.pop(name, None)
        if len(owners) >= _OWNERS:
            del owners[next(iter(owners))]
        owners[name] = now + settings.owner_seconds

    def failed(self, transport: str, ip: str, account: str, method: str, now: float) -> None:
        """A password was wrong, or the account does not exist; the challenge had been sent to this very address."""
        name, account = source_name(ip), account[:_LONGEST_ACCOUNT]
        source = self._sources.use(name)
        source.accounts = (*(known for known in source.accounts if known != account), account)[-_ACCOUNTS_TOLD:]
        self._report(name, transport, account, method, now)
        self._count(name, source, 1.0, "failures", now)
        self.changes += 1
        known = self._accounts.use(account)
        if known.failures.add(1.0, now, self.settings):
            seconds = known.failures.offend(now, self.settings)
            self._keep_out(self._locks, Ban(account, "failures", now + seconds, known.failures.offences))
            self.facts.append(AccountLocked(account=account, seconds=seconds, offence=known.failures.offences, source=name))

    def _report(self, name: str, transport: str, account: str, method: str, now: float) -> None:
        report = self._reports.use(f"{name} {account}")
        report[1] += 1
        if now - report[0] >= self.settings.report_seconds:
            self.facts.append(AuthenticationFailed(source=name, transport=transport, account=account, method=method, times=int(report[1])))
            report[:] = [now, 0]

    # -- devices ------------------------------------------------------------------------------------------------------

    def registered(self, transport: str, ip: str, port: int, until: float) -> None:
        """A device is registered over this flow until then; a time that is over: not any more."""
        name, flow = source_name(ip), (transport, port)
        devices = self._devices.get(name, {})
        known = devices.get(flow)
        if known is not None:
            known.until = until
        elif self._device_count < self.settings.max_devices:
            self._device_count += 1
            self._devices.setdefault(name, {})[flow] = _Device(until, Bucket(self.settings.device_burst, 0.0))

    def expire(self, now: float) -> None:
        """Forget devices and bans whose time is over; to be called every few seconds, done now and then: what is over counts no more."""
        if now < self._expired_at + _EXPIRE_SECONDS:
            return
        self._expired_at = now
        for name, devices in tuple(self._devices.items()):
            for flow in [flow for flow, device in devices.items() if device.until <= now]:
                del devices[flow]
                self._device_count -= 1
            if not devices:
                del self._devices[name]
        for table in (self._bans, self._locks):
            for name in [name for name, ban in table.items() if ban.until <= now]:
                del table[name]

    # -- bans ---------------------------------------------------------------------------------------------------------

    def bans(self, now: float) -> list[Ban]:
        """Banned sources, those that end last first."""
        return _alive(self._bans.values(), now)

    def locks(self, now: float) -> list[Ban]:
        """Locked accounts, those that end last first."""
        return _alive(self._locks.values(), now)

    def lift(self, source: str, now: float) -> bool:
        """Let a source in again and forget what it did; False: it was not banned."""
        name = source if "/" in source else source_name(source)
        self._sources.forget(name)
        self.changes += 1
        ban = self._bans.pop(name, None)
        return ban is not None and ban.until > now

    def unlock(self, account: str, now: float) -> bool:
        """The same for an account; its owners are kept."""
        known = self._accounts.find(account)
        self.changes += 1
        if known is not None:
            known.failures = Failures()
        lock = self._locks.pop(account, None)
        return lock is not None and lock.until > now

    def forget(self, account: str) -> None:
        """There is no such account any more."""
        self._accounts.forget(account)
        self._locks.pop(account, None)
        self.changes += 1

    # -- memory -------------------------------------------------------------------------------------------------------

    def memory(self, now: float, at: float) -> GuardMemory:
        """What a process that comes after must know; `at`: wall-clock time."""
        sources = [
            KeptEntry(name=name, failures=KeptFailures.of(one.failures, now), accounts=one.accounts)
            for name, one in self._sources.items()
            if worth_keeping(one.failures)
        ]
        accounts = [
            KeptEntry(
                name=name,
                failures=KeptFailures.of(one.failures, now),
                owners={owner: until - now for owner, until in one.owners.items()},
            )
            for name, one in self._accounts.items()
            if worth_keeping(one.failures) or one.owners
        ]
        bans, locks = (
            [KeptBan(name=b.name, reason=b.reason, left=b.until - now, offence=b.offence) for b in _still(table.values(), now)]
            for table in (self._bans, self._locks)
        )
        return GuardMemory(saved_at=at, sources=tuple(sources), accounts=tuple(accounts), bans=tuple(bans), locks=tuple(locks))

    def remember(self, memory: GuardMemory, now: float, at: float) -> None:
        """Go on where the process before stopped. A clock that went back makes nothing last longer than when it was saved."""
        then = now - max(0.0, at - memory.saved_at)
        for kept in memory.sources:
            source = self._sources.use(kept.name)
            source.failures, source.accounts = kept.failures.failures(then), kept.accounts
        for kept in memory.accounts:
            account = self._accounts.use(kept.name)
            account.failures = kept.failures.failures(then)
            account.owners = {owner: then + left for owner, left in kept.owners.items()}
        for table, bans in ((self._bans, memory.bans), (self._locks, memory.locks)):
            for ban in bans:
                if then + ban.left > now:
                    self._keep_out(table, Ban(ban.name, ban.reason, then + ban.left, ban.offence))

    def take_facts(self) -> list[Fact]:
        """What happened since this was asked last, in order."""
        facts, self.facts = self.facts, []
        return facts

    def sizes(self) -> tuple[int, ...]:
        """Entries of each table, to watch over."""
        return len(self._sources), len(self._accounts), len(self._reports), len(self._bans), len(self._locks), self._device_count

    def _banned(self, name: str, now: float) -> bool:
        return self._bans[name].until > now

    def _count(self, name: str, source: _Source, weight: float, reason: Reason, now: float) -> None:
        if source.free_until > now or (name in self._bans and self._banned(name, now)):
            return
        self.changes += 1
        if source.failures.add(weight, now, self.settings):
            seconds = source.failures.offend(now, self.settings)
            offence = source.failures.offences
            self._keep_out(self._bans, Ban(name, reason, now + seconds, offence))
            self.facts.append(SourceBanned(source=name, reason=reason, seconds=seconds, offence=offence, accounts=source.accounts))

    def _keep_out(self, table: dict[str, Ban], ban: Ban) -> None:
        table.pop(ban.name, None)
        if len(table) >= self.settings.max_bans:
            del table[next(iter(table))]
        table[ban.name] = ban


def source_name(ip: str) -> str:
    """What is counted as one source: an IPv4 address; of IPv6 the first 64 bits, because one host has all the rest."""
    return _network(ip) if ":" in ip else ip


@lru_cache(maxsize=4096)
def _network(ip: str) -> str:
    try:
        address = ipaddress.IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def _alive(bans: Iterable[Ban], now: float) -> list[Ban]:
    return sorted(_still(bans, now), key=lambda ban: (-ban.until, ban.name))


def _still(bans: Iterable[Ban], now: float) -> Iterator[Ban]:
    return (ban for ban in bans if ban.until > now)
