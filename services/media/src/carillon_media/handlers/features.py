"""What calls do to one another on this node, as far as it must be remembered: supervisors of talks; and announcements at phones.

Invariant: a supervisor is told once that the leg it listens to is over; who listens to whom is audited.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from carillon_contracts.audit import CallSupervised
from carillon_contracts.envelope import EventData
from carillon_media.domain import inputs, outputs
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.state import Parked
from carillon_media.handlers.actor import CallActor
from carillon_media.ports import Parts

ANNOUNCEMENT_RING_SECONDS = 5.0
#: Two or three rings.
REMINDER_RING_SECONDS = 8.0
#: What such a call shows as dialled.
REMINDER = "hold-reminder"


class Parking:
    """The slot that a call gets next, as somebody waits for it."""

    def __init__(self) -> None:
        self._slot: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def within(self, seconds: float) -> str:
        """The slot; empty: it got none."""
        try:
            async with asyncio.timeout(seconds):
                return await self._slot
        except TimeoutError:
            return ""

    def tell(self, slot: str) -> None:
        """It is parked there, or (empty) is not to be parked any more."""
        if not self._slot.done():
            self._slot.set_result(slot)


class Board(Protocol):
    """All calls, as far as features need them."""

    parts: Parts
    calls: dict[str, CallActor]

    @property
    def full(self) -> bool: ...
    def originate(self, facts: CallFacts, given: inputs.Originated) -> None: ...


class Features:
    """Of one switchboard. `audit` takes a tenant and an event."""

    def __init__(self, board: Board) -> None:
        self._board = board
        #: By call: who listens to which of its legs.
        self._supervisors: dict[str, dict[CallActor, str]] = {}
        self._parkings: dict[str, list[Parking]] = {}
        self.audit: Callable[[str, EventData], None] = lambda tenant, event: None

    @property
    def calls(self) -> Mapping[str, CallActor]:
        """All calls of this node by id, the oldest first."""
        return self._board.calls

    def supervises(self, actor: CallActor, call_id: str, leg_id: str) -> None:
        """The actor's caller takes part in what this leg of the call talks."""
        self._supervisors.setdefault(call_id, {})[actor] = leg_id

    def next_parking(self, actor: CallActor) -> Parking:
        """The slot that the call will be parked in."""
        parking = Parking()
        self._parkings.setdefault(actor.call.facts.call_id, []).append(parking)
        return parking

    def _tell_parking(self, actor: CallActor) -> None:
        call_id, state = actor.call.facts.call_id, actor.call.state
        slot = state.phase.slot if isinstance(state.phase, Parked) else ""
        if slot or state.transfer is None:
            for parking in self._parkings.pop(call_id, ()):
                parking.tell(slot)

    def changed(self, actor: CallActor) -> None:
        """Something has happened in this call, or it is over: supervisors of a leg that is there no more are told."""
        call_id = actor.call.facts.call_id
        if call_id in self._parkings:
            self._tell_parking(actor)
        supervisors = self._supervisors.get(call_id)
        if not supervisors:
            return
        up = call_id in self._board.calls
        for supervisor, leg_id in list(supervisors.items()):
            leg = actor.call.legs.get(leg_id)
            if not up or leg is None or leg.state == "ended":
                del supervisors[supervisor]
                supervisor.post(inputs.TalkEnded())
        if not supervisors:
            del self._supervisors[call_id]

    def told(self, actor: CallActor, output: outputs.TellSupervised) -> None:
        """Who takes part in a talk, and how, for the audit."""
        other = self._board.calls.get(output.call_id)
        leg = other.call.legs.get(output.leg_id) if other is not None else None
        supervised = leg.party if leg is not None else ""
        event = CallSupervised(supervisor=output.supervisor, supervised=supervised, mode=output.mode, call_id=output.call_id)
        self.audit(actor.call.facts.tenant, event)
        if output.mode == "ended":
            self._supervisors.get(output.call_id, {}).pop(actor, None)

    def announce(self, actor: CallActor, output: outputs.Announce) -> None:
        """Phones of users who are free say it by themselves, each in a call of its own."""
        tenant, directory = actor.call.facts.tenant, self._board.parts.directory
        for user_id in output.user_ids:
            contacts = () if directory.talks(tenant, user_id) else tuple(directory.contacts_of_user(tenant, user_id))
            said = inputs.Originated(
                contacts, "", f"call/{actor.call.facts.call_id}", ANNOUNCEMENT_RING_SECONDS, auto_answer=True, prompts=output.prompts
            )
            self._say(actor, user_id, output.slot, said)

    def remind(self, actor: CallActor, output: outputs.Remind) -> None:
        """The phones of a user who holds ring, also while the user talks elsewhere, and say it when they are answered."""
        of = actor.call.facts
        contacts = tuple(self._board.parts.directory.contacts_of_user(of.tenant, output.user_id))
        said = inputs.Originated(
            contacts,
            output.caller_name,
            f"call/{of.call_id}",
            REMINDER_RING_SECONDS,
            prompts=output.prompts,
            shown=output.caller_number,
        )
        self._say(actor, output.user_id, REMINDER, said)

    def _say(self, actor: CallActor, user_id: str, dialled: str, said: inputs.Originated) -> None:
        board, of = self._board, actor.call.facts
        if not said.contacts or board.full:
            return
        facts = CallFacts(
            tenant=of.tenant,
            call_id=str(board.parts.ids.uuid7()),
            direction="from_user",
            caller=said.contacts[0].number,
            caller_name="",
            caller_user_id=user_id,
            dialled=dialled,
            trunk_id=None,
            started_at=board.parts.clock.now(),
            node=board.parts.node,
        )
        board.originate(facts, said)
