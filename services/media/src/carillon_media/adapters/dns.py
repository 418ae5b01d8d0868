"""DNS asked by dnspython: one question, its records as `carillon_sip.locate` has them, and how long they hold.

Invariant: every question has a deadline; what DNS says is bounded and never trusted to be well-formed.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from carillon_sip.flow import Address
from carillon_sip.locate import HostAddress, Naptr, Question, Record, Srv

LIFETIME_SECONDS = 4.0
TRY_SECONDS = 1.5
#: Records of one answer that are looked at.
MAX_RECORDS = 64
#: How long "there is none" holds when the zone does not say, and what the machine's own tables say.
NOTHING_SECONDS = 60.0


class AskFailed(Exception):
    """No server answered, or none could."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records, none if there are none, and for how many seconds that holds."""

    records: tuple[Record, ...]
    seconds: float


class Dns:
    """Asks the given servers, or those of this machine."""

    def __init__(self, servers: Sequence[Address] = ()) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._resolver.lifetime = LIFETIME_SECONDS
        self._resolver.timeout = TRY_SECONDS

    async def ask(self, question: Question) -> Answer:
        """Raises AskFailed. Addresses that DNS does not know are looked for in the machine's own tables."""
        try:
            found = await self._resolver.resolve(question.name, question.kind, raise_on_no_answer=False, search="." not in question.name)
        except dns.resolver.NXDOMAIN:
            answer = Answer((), NOTHING_SECONDS)
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise AskFailed(f"{question.kind} {question.name}: {error}") from error
        else:
            records = tuple(_record(item, question) for item in list(found.rrset or ())[:MAX_RECORDS])
            answer = Answer(records, float(found.chaining_result.minimum_ttl))
        if not answer.records and question.kind in ("A", "AAAA"):
            return await _own_tables(question) or answer
        return answer


def _record(item: Any, question: Question) -> Record:
    match question.kind:
        case "NAPTR":
            flags, service = item.flags.decode("ascii", "replace"), item.service.decode("ascii", "replace")
            return Naptr(item.order, item.preference, flags, service, item.replacement.to_text())
        case "SRV":
            return Srv(item.priority, item.weight, item.port, item.target.to_text())
        case _:
            return HostAddress(str(item.address))


async def _own_tables(question: Question) -> Answer | None:
    """`/etc/hosts` and whatever else this machine goes by."""
    family = socket.AF_INET if question.kind == "A" else socket.AF_INET6
    try:
        async with asyncio.timeout(LIFETIME_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(question.name, None, family=family, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    return Answer(tuple(HostAddress(str(entry[4][0]).partition("%")[0]) for entry in found[:MAX_RECORDS]), NOTHING_SECONDS)
