"""Where a request for a name goes: the servers of a domain in the order to try them (RFC 3263 section 4), as one pure function.

`locate` takes what DNS is known to say and returns the servers, and what DNS must still be asked; ask, add the answers, call again:

    while (found := locate(destination, answers, choice)).missing:
        answers |= {question: ask(question) for question in found.missing}

Invariant: the same answers and the same `choice` give the same list; every list is bounded; at most three rounds of questions.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from carillon_sip.flow import DEFAULT_PORTS, Transport
from carillon_sip.uri import Uri

RecordKind: TypeAlias = Literal["NAPTR", "SRV", "A", "AAAA"]
#: Bounds of what is taken from DNS, which others write.
MAX_NAPTR = 8
MAX_SRV = 32
MAX_ADDRESSES = 8
MAX_SERVERS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask DNS; `name` in lower case without the final dot."""

    kind: RecordKind
    name: str


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403; `replacement` is a name of SRV records (flag s) or of a host (flag a)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782; a target of "" or "." says that the service decidedly is not there."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An A or AAAA record."""

    ip: str


Record: TypeAlias = Naptr | Srv | HostAddress
#: What DNS said; nothing there is an empty sequence, which is not the same as not having asked.
Answers: TypeAlias = Mapping[Question, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Destination:
    """What is to be found: `host` is a name or an IP address; None: not said. `secure`: TLS on every hop (sips)."""

    host: str
    port: int | None = None
    transport: Transport | None = None
    secure: bool = False

    @classmethod
    def of_uri(cls, uri: Uri) -> "Destination":
        """Where requests with this Request-URI or topmost Route go; `maddr` wins over the host (RFC 3261 section 19.1.1)."""
        host = (uri.parameter("maddr") or uri.host).strip("[]").lower()
        named = (uri.parameter("transport") or "").lower()
        secure = uri.scheme == "sips"
        transport = _TRANSPORTS.get(named)
        return cls(host, uri.port, "tls" if secure and transport is not None else transport, secure)


@dataclass(frozen=True, slots=True)
class Server:
    """One address to try; `name` is the host that has it."""

    transport: Transport
    ip: str
    port: int
    name: str


@dataclass(frozen=True, slots=True)
class Located:
    """Servers in the order to try them, as far as the answers go, and what must still be asked."""

    servers: tuple[Server, ...]
    missing: tuple[Question, ...]


_TRANSPORTS: Mapping[str, Transport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
_SERVICES: Mapping[str, Transport] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_PREFIXES: Mapping[Transport, str] = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_ALL: tuple[Transport, ...] = ("udp", "tcp", "tls")
_FAMILIES: tuple[Literal["A", "AAAA"], ...] = ("A", "AAAA")


@dataclass(slots=True)
class _Search:
    answers: Answers
    choice: int
    families: Sequence[Literal["A", "AAAA"]]
    servers: dict[tuple[Transport, str, int], Server] = field(default_factory=dict)
    missing: dict[Question, None] = field(default_factory=dict)

    def ask(self, kind: RecordKind, name: str) -> Sequence[Record] | None:
        """The answer; None, and noted as missing, when it is not known yet."""
        question = Question(kind, name.rstrip(".").lower())
        found = self.answers.get(question)
        if found is None:
            self.missing[question] = None
        return found

    def add(self, transport: Transport, ip: str, port: int, name: str) -> None:
        if len(self.servers) < MAX_SERVERS:
            self.servers.setdefault((transport, ip, port), Server(transport, ip, port, name))

    def add_host(self, transport: Transport, name: str, port: int) -> None:
        """The addresses of a host."""
        if is_ip(name):
            self.add(transport, name, port, name)
            return
        for family in self.families:
            records = [record for record in self.ask(family, name) or () if isinstance(record, HostAddress)][:MAX_ADDRESSES]
            start = _drawn(self.choice, len(records)) if records else 0
            for record in (*records[start:], *records[:start]):
                self.add(transport, record.ip, port, name)

    def add_srv(self, transport: Transport, name: str) -> bool | None:
        """The servers of SRV records; whether there are any, None: not known yet."""
        answer = self.ask("SRV", name)
        if answer is None:
            return None
        records = [record for record in answer if isinstance(record, Srv)][:MAX_SRV]
        for record in in_order(records, self.choice):
            if record.target.rstrip("."):
                self.add_host(transport, record.target.rstrip(".").lower(), record.port)
        return bool(records)


def locate(
    destination: Destination,
    answers: Answers,
    choice: int = 0,
    *,
    families: Sequence[Literal["A", "AAAA"]] = _FAMILIES,
    transports: Sequence[Transport] = _ALL,
) -> Located:
    """The servers of a destination. `choice` (a hash of the call, say) shares load by weight; `transports` are ours, best first."""
    search = _Search(answers, choice, families)
    plain: Transport = "tls" if destination.secure else "udp"
    transport = destination.transport
    if is_ip(destination.host) or destination.port is not None:
        # "If a port is specified in the URI ... the client performs an A or AAAA record lookup of the domain name." (section 4.2)
        settled = transport or plain
        search.add_host(settled, destination.host, destination.port or DEFAULT_PORTS[settled])
    elif transport is not None:
        _by_srv(search, destination.host, [transport], transport)
    else:
        _by_naptr(search, destination, [item for item in transports if item == "tls" or not destination.secure], plain)
    return Located(tuple(search.servers.values()), tuple(search.missing))


def _by_naptr(search: _Search, destination: Destination, transports: Sequence[Transport], plain: Transport) -> None:
    """Section 4.1: NAPTR records whose service is ours, in their order; without any, SRV of every transport of ours."""
    answer = search.ask("NAPTR", destination.host)
    if answer is None:
        return
    records = [record for record in answer if isinstance(record, Naptr) and _SERVICES.get(record.service.upper()) in transports]
    usable = [record for record in records if record.flags.lower() in ("s", "a") and record.replacement.rstrip(".")]
    if not usable:
        _by_srv(search, destination.host, transports, plain)
        return
    for record in sorted(usable, key=lambda item: (item.order, item.preference))[:MAX_NAPTR]:
        transport = _SERVICES[record.service.upper()]
        if record.flags.lower() == "s":
            search.add_srv(transport, record.replacement)
        else:
            search.add_host(transport, record.replacement.rstrip(".").lower(), DEFAULT_PORTS[transport])


def _by_srv(search: _Search, host: str, transports: Sequence[Transport], plain: Transport) -> None:
    """Section 4.2: SRV of each transport; "If no SRV records were found, the client performs an A or AAAA record lookup"."""
    found = [search.add_srv(transport, _SRV_PREFIXES[transport] + host) for transport in transports]
    if not any(found) and None not in found:
        search.add_host(plain, host, DEFAULT_PORTS[plain])


def in_order(records: Sequence[Srv], choice: int) -> list[Srv]:
    """By priority; within one by weight, drawn as RFC 2782 says, with `choice` in place of chance."""
    ordered: list[Srv] = []
    draw = choice
    for priority in sorted({record.priority for record in records}):
        # "Place all those with weight 0 at the beginning of the list."
        left = sorted((record for record in records if record.priority == priority), key=lambda item: item.weight > 0)
        while left:
            draw += 1
            drawn = _drawn(draw, sum(record.weight for record in left) + 1)
            for record in left:
                drawn -= record.weight
                if drawn <= 0:
                    break
            ordered.append(record)
            left.remove(record)
    return ordered


def _drawn(choice: int, sides: int) -> int:
    """0 to sides - 1, spread evenly over choices that follow each other (the finalizer of SplitMix64)."""
    mask = (1 << 64) - 1
    value = (choice * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) % sides


def is_ip(host: str) -> bool:
    """Whether it is an IP address (without brackets) and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
