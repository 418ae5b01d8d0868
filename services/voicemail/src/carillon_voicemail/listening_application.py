"""The dialogue of who listens to messages, as media asks for it: what it needs is fetched, what it decides is done, then the step is given.

Invariant: a step that says that something was done is given when it is; while the database is away there is no step, and media asks again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument
from carillon_kit.logs import get_logger
from carillon_voicemail.adapters.greetings import Greetings
from carillon_voicemail.adapters.mailbox_pins import MailboxPins
from carillon_voicemail.adapters.pin_tries import PinTries, hash_of, is_pin, tried_box
from carillon_voicemail.adapters.postgres_messages import PostgresMessages
from carillon_voicemail.domain import dialogue, listening
from carillon_voicemail.domain import listening_state as known
from carillon_voicemail.domain.listening_state import Act, Cursor, Decision, Facts, State, Verdict
from carillon_voicemail.domain.steps import CallFacts, Gathered, Outcome
from carillon_voicemail.ports import Configurations, StoreUnavailable

#: Messages that are looked at for one step.
_LIMIT = 500
_log = get_logger("listening")


def cursor_of(raw: bytes) -> Cursor | None:
    """The cursor if it is of this dialogue. Raises InvalidArgument."""
    try:
        return known.cursor_of(raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument({"cursor": "not a cursor of this application"}) from error


@dataclass(frozen=True, slots=True)
class ListeningApplication:
    """Answers what is asked of a box's dialogue with its owner."""

    configurations: Configurations
    messages: PostgresMessages
    tries: PinTries
    greetings: Greetings
    pins: MailboxPins
    clock: Clock

    async def begin(self, tenant: str, call: CallFacts, arguments: Mapping[str, str]) -> Decision | None:
        """The first step; None: the caller is to leave a message. Raises StoreUnavailable."""
        facts = self._facts(tenant, call)
        mailbox_id = arguments.get("mailbox_id", "")
        mailbox = facts.config.mailboxes.get(mailbox_id)
        if listening.LISTEN not in arguments and not listening.trusts(mailbox, call):
            return None
        facts = await self._with_messages(tenant, facts, mailbox_id)
        return await self._carried_out(tenant, facts, listening.begin(facts, arguments, dialogue.language_of(mailbox, facts.config)))

    @staticmethod
    def from_greeting(at: dialogue.Cursor) -> Decision:
        """The caller pressed the key during the greeting."""
        return listening.ask_pin(Cursor(State.PIN, at.mailbox_id, at.language), f"{dialogue.LISTEN_DIGIT} during the greeting")

    async def go_on(self, tenant: str, call: CallFacts, cursor: Cursor, outcome: Outcome) -> Decision:
        """The next step. Raises StoreUnavailable."""
        facts = self._facts(tenant, call)
        verdict = await self._verdict(tenant, facts, cursor, outcome)
        if cursor.state is not State.BOX and (cursor.state is not State.PIN or verdict == "right"):
            facts = await self._with_messages(tenant, facts, cursor.mailbox_id, cursor.messages)
        return await self._carried_out(tenant, facts, listening.go_on(facts, cursor, outcome, verdict))

    async def greeting_of(self, tenant: str, mailbox_id: str) -> str:
        """The greeting that was spoken by phone; without the database callers hear that of the configuration."""
        try:
            return await self.greetings.of(tenant, mailbox_id)
        except StoreUnavailable as away:
            _log.warning("store_unavailable", error=str(away))
            return ""

    def _facts(self, tenant: str, call: CallFacts) -> Facts:
        return Facts(call, self.configurations.of(tenant), self.clock.now())

    async def _with_messages(self, tenant: str, facts: Facts, mailbox_id: str, ids: tuple[str, ...] = ()) -> Facts:
        mailbox, also = facts.config.mailboxes.get(mailbox_id), [UUID(each) for each in ids]
        department_id = mailbox.department_id if mailbox is not None else ""
        return replace(facts, messages=await self.messages.by_phone(tenant, mailbox_id, also, _LIMIT, department_id))

    async def _verdict(self, tenant: str, facts: Facts, cursor: Cursor, outcome: Outcome) -> Verdict:
        if not isinstance(outcome, Gathered) or not outcome.digits:
            return ""
        if cursor.state is State.PIN_AGAIN:
            return "right" if await is_pin(cursor.pin_hash, outcome.digits) else "wrong"
        if cursor.state is not State.PIN:
            return ""
        mailbox = facts.config.mailboxes.get(cursor.mailbox_id)
        kept = mailbox.pin_hash if mailbox is not None else ""

        async def compare() -> Verdict:
            return "right" if await is_pin(kept, outcome.digits) else "wrong"

        thing, attempt = tried_box(cursor.mailbox_id or cursor.box), f"{facts.call.call_id}/{cursor.tries}" if facts.call.call_id else ""
        verdict = await self.tries.judged(tenant, thing, facts.call.caller_number, compare, attempt)
        return "locked" if verdict is None else verdict

    async def _carried_out(self, tenant: str, facts: Facts, decision: Decision) -> Decision:
        for act in decision.acts:
            decision = await self._act(tenant, facts, decision, act)
        return decision

    async def _act(self, tenant: str, facts: Facts, decision: Decision, act: Act) -> Decision:
        mailbox_id = decision.cursor.mailbox_id
        match act:
            case known.Mark(message_id, state):
                await self.messages.mark(tenant, message_id, state)
                return decision
            case known.HashPin(pin):
                return replace(decision, cursor=replace(decision.cursor, pin_hash=await hash_of(pin)))
            case known.SetPin(pin):
                return listening.done(facts, decision, well=await self.pins.change(tenant, mailbox_id, pin))
            case known.KeepGreeting(name):
                await self.greetings.keep(tenant, mailbox_id, name)
                return listening.done(facts, decision, well=True)
            case known.DropGreeting():
                await self.greetings.drop(tenant, mailbox_id)
                return listening.done(facts, decision, well=True)
            case _:
                assert_never(act)
