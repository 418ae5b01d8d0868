"""Trunks' servers by DNS (RFC 3263), asked for ahead of calls and again before what is known runs out.

Invariant: what was known goes on holding while DNS does not answer; nobody is asked while a call waits; an IP address is its own.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from carillon_kit.logs import get_logger
from carillon_media.adapters.dns import Answer, AskFailed
from carillon_sip.locate import Answers, Destination, HostAddress, Question, Record, Server, is_ip, locate

_log = get_logger(__name__)
POLL_SECONDS = 1.0
#: What DNS says is believed for at least and at most so long; a question that failed is asked again after the first.
SHORTEST_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
#: Questions at once.
MOST_QUESTIONS = 16
#: NAPTR, SRV, addresses.
_ROUNDS = 3
Family = Literal["A", "AAAA"]


class AskDns(Protocol):
    """`adapters.dns.Dns`."""

    async def ask(self, question: Question) -> Answer:
        """Raises AskFailed within its deadline."""


class _Noted(Mapping[Question, Sequence[Record]]):
    """Answers that remember which questions were looked up."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.used: set[Question] = set()

    def __getitem__(self, question: Question) -> Sequence[Record]:
        self.used.add(question)
        return self._answers[question]

    def __iter__(self) -> Iterator[Question]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)


class TrunkResolver:
    """`handlers.reach.Resolver`. `wanted` gives what is to be known; run `run` as a task."""

    def __init__(self, wanted: Callable[[], Iterable[Destination]], dns: AskDns, families: Sequence[Family] = ("A",)) -> None:
        self._wanted = wanted
        self._dns = dns
        self._families = families
        self._answers: dict[Question, Sequence[Record]] = {}
        self._due: dict[Question, float] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._unknown: set[Destination] = set()

    def servers(self, destination: Destination, choice: int = 0) -> Sequence[Server]:
        """As far as DNS has answered."""
        return locate(destination, self._answers, choice, families=self._families).servers

    def names(self, ip: str) -> Iterable[str]:
        """The address, and the names of trunks one of whose servers has it."""
        return (ip, *self._names.get(ip, ()))

    async def run(self) -> None:
        """Look at what is due every second."""
        while True:
            await self.refresh(asyncio.get_running_loop().time())
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self, now: float) -> None:
        """Ask what is not known yet or has run out."""
        wanted = frozenset(destination for destination in self._wanted() if not is_ip(destination.host))
        for _ in range(_ROUNDS):
            used = self._used(wanted)
            due = [question for question in used if self._due.get(question, 0.0) <= now]
            if not due:
                break
            limit = asyncio.Semaphore(MOST_QUESTIONS)
            await asyncio.gather(*(self._ask(question, now, limit) for question in due))
        for question in self._answers.keys() - used:
            del self._answers[question]
        self._due = {question: at for question, at in self._due.items() if question in used}
        self._index(wanted)

    def _used(self, wanted: Iterable[Destination]) -> set[Question]:
        """Every question that these destinations need, and the addresses of their names: a carrier may call from there too."""
        noted = _Noted(self._answers)
        missing: set[Question] = set()
        for destination in wanted:
            missing.update(locate(destination, noted, families=self._families).missing)
            missing.update(Question(family, destination.host) for family in self._families)
        return noted.used | missing

    async def _ask(self, question: Question, now: float, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                answer = await self._dns.ask(question)
            except AskFailed as error:
                self._due[question] = now + SHORTEST_SECONDS
                _log.debug("DNS did not answer", error=str(error))
                return
        self._answers[question] = answer.records
        self._due[question] = now + min(max(answer.seconds, SHORTEST_SECONDS), LONGEST_SECONDS)

    def _index(self, wanted: frozenset[Destination]) -> None:
        """Names by address, and a word about those that lead nowhere."""
        names: dict[str, set[str]] = {}
        unknown: set[Destination] = set()
        for destination in wanted:
            servers = self.servers(destination)
            if not servers:
                unknown.add(destination)
            for server in servers:
                names.setdefault(server.ip, set()).add(destination.host)
            for family in self._families:
                for record in self._answers.get(Question(family, destination.host), ()):
                    if isinstance(record, HostAddress):
                        names.setdefault(record.ip, set()).add(destination.host)
        self._names = {ip: frozenset(found) for ip, found in names.items()}
        for destination in unknown - self._unknown:
            _log.warning("a trunk's name leads nowhere", host=destination.host, transport=destination.transport or "auto")
        self._unknown = unknown
