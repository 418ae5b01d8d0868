"""Announcements recorded by phone: the calls that are made for it, and the application that decides what happens in them.

Invariant: what is kept is kept in the name of who asked, while the caller waits, so that what the caller is told is true; when the process
that was asked has died its call goes on, but keeps nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from carillon_kit.logs import get_logger
from carillon_media.domain import inputs, recording_dialogue
from carillon_media.domain.describe import describe
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.recording_dialogue import Task
from carillon_media.domain.steps import Outcome
from carillon_media.handlers.control import CallControl, Refused
from carillon_media.handlers.first_phones import phones_at
from carillon_media.ports import Answer, NoDecision

_log = get_logger(__name__)
APPLICATION = "record-by-phone"
MAX_AT_ONCE = 50
#: Takes the object that was recorded; returns why it cannot be kept, or nothing.
Keep = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: `number` rings in place of the user's phones if it is given."""

    tenant: str
    user_id: str
    number: str
    #: What the phone shows.
    title: str
    title_name: str
    requested_by: str
    ring_seconds: float
    task: Task


@dataclass(slots=True)
class Take:
    """One call of the studio. `kept`: it is; `error`: why it is not, as far as is known."""

    call_id: str
    task: Task
    keep: Keep = field(repr=False)
    kept: bool = False
    error: str = ""
    #: Nothing is being kept just now.
    settled: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __post_init__(self) -> None:
        self.settled.set()


class Studio:
    """`ports.Applications` for its own calls."""

    def __init__(self) -> None:
        self._takes: dict[str, Take] = {}

    async def begin(self, control: CallControl, wanted: Wanted, keep: Keep) -> Take:
        """Make the call. Raises Refused."""
        board, accounts = control.board, control.accounts
        if control.full or len(self._takes) >= MAX_AT_ONCE:
            raise Refused("no more calls are taken now")
        facts = CallFacts(
            tenant=wanted.tenant,
            call_id=str(board.parts.ids.uuid7()),
            direction="from_user",
            caller=accounts.extension_of(wanted.tenant, wanted.user_id) or accounts.caller_number_of(wanted.tenant, wanted.user_id),
            caller_name=accounts.name_of(wanted.tenant, wanted.user_id),
            caller_user_id=wanted.user_id,
            dialled=wanted.title,
            trunk_id=None,
            started_at=board.parts.clock.now(),
            node=board.parts.node,
        )
        shown, name = wanted.title, wanted.title_name
        if wanted.number:
            contacts, ring = await phones_at(board, facts, wanted.number)
            facts = replace(facts, caller=wanted.number, caller_name="")
            if any(contact.trunk is not None for contact in contacts):
                shown, name = ring.caller_number, ring.caller_name
        else:
            contacts = tuple(board.parts.directory.contacts_of_user(wanted.tenant, wanted.user_id))
            if not contacts:
                raise Refused(f"no device of user {wanted.user_id} is registered")
        take = self._takes[facts.call_id] = Take(facts.call_id, wanted.task, keep)
        by, seconds = wanted.requested_by, wanted.ring_seconds
        board.originate(facts, inputs.Originated(contacts, name, by, seconds, application=APPLICATION, shown=shown))
        return take

    def forget(self, take: Take) -> None:
        """Nobody asks for it any more: its call keeps nothing."""
        self._takes.pop(take.call_id, None)

    async def ask(self, application: str, facts: CallFacts, cursor: bytes, outcome: Outcome) -> Answer:
        """The next step of the dialogue. Raises NoDecision."""
        take = self._takes.get(facts.call_id)
        task = take.task if take is not None else Task("en", 1000, {})
        try:
            decision = recording_dialogue.advance(task, cursor, outcome)
        except ValueError as error:
            raise NoDecision(str(error)) from error
        if decision.keep:
            decision = recording_dialogue.kept(task, await self._keep(take, decision.keep))
        assert decision.step is not None
        return Answer(decision.step, decision.cursor.to_bytes(), decision.trace, 0, describe(decision.step))

    async def signalled(self, application: str, facts: CallFacts, cursor: bytes) -> bool:
        """No step of ours waits for a signal."""
        return True

    async def _keep(self, take: Take | None, name: str) -> str:
        if take is None:
            return "who asked for it has gone"
        take.settled.clear()
        try:
            take.error = await take.keep(name)
        except Exception as error:  # noqa: BLE001 - the edge to whoever asked: whatever it is, the caller is told
            take.error = repr(error)
        finally:
            take.settled.set()
        take.kept = not take.error
        if take.error:
            _log.warning("a recording by phone is not kept", call_id=take.call_id, error=take.error)
        return take.error
