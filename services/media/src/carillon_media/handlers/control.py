"""Requests of people and programs about calls, brought to the calls: who may is decided before, what is possible by each call.

Invariant: a call of another tenant is as unknown as one that never was.
"""

from collections.abc import Callable

from carillon_media.domain import control, inputs
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.keys import unsendable
from carillon_media.domain.state import CallState
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.switchboard import Switchboard


class UnknownCall(Exception):
    """No such call is up on this node."""


class UnknownLeg(Exception):
    """The call has no such leg."""


class Refused(Exception):
    """It cannot be done now; the message says why."""


class CallControl:
    """What `CallControlService` does."""

    def __init__(self, board: Switchboard, accounts: Accounts, closed: Callable[[], bool]) -> None:
        """`closed`: no new call is taken."""
        self.board = board
        self.accounts = accounts
        self._closed = closed

    @property
    def full(self) -> bool:
        """No call is made any more."""
        return self._closed() or self.board.full

    def find(self, tenant: str, call_id: str) -> CallActor:
        """The tenant's call; raises UnknownCall."""
        actor = self.board.calls.get(call_id)
        if actor is None or actor.call.facts.tenant != tenant:
            raise UnknownCall
        return actor

    async def ask(self, tenant: str, call_id: str, given: inputs.Request) -> None:
        """Do it; raises UnknownCall, UnknownLeg or Refused."""
        actor = self.find(tenant, call_id)
        leg_id = getattr(given, "leg_id", "")
        if leg_id and leg_id not in actor.call.legs:
            raise UnknownLeg

        def refuses(state: CallState) -> str:
            reason = control.refusal(state, given)
            leg = actor.legs.get(leg_id)
            if not reason and isinstance(given, inputs.DigitsRequested) and leg is not None:
                return unsendable(given.manner, self.board.keys.ways(actor, leg))
            return reason

        if reason := await actor.request(given, refuses):
            raise Refused(reason)

    def originate(
        self,
        tenant: str,
        user_id: str,
        destination: str,
        requested_by: str,
        ring_seconds: float,
        *,
        auto_answer: bool = False,
        call_id: str = "",
    ) -> str:
        """Call a user, then the destination as that user; returns the call's id (`call_id`, if given). Raises Refused."""
        board, accounts = self.board, self.accounts
        if self.full:
            raise Refused("no more calls are taken now")
        if call_id in board.calls:
            raise Refused(f"call {call_id} is up")
        contacts = tuple(board.parts.directory.contacts_of_user(tenant, user_id))
        if not contacts:
            raise Refused(f"no device of user {user_id} is registered")
        facts = CallFacts(
            tenant=tenant,
            call_id=call_id or str(board.parts.ids.uuid7()),
            direction="from_user",
            caller=accounts.extension_of(tenant, user_id) or accounts.caller_number_of(tenant, user_id),
            caller_name=accounts.name_of(tenant, user_id),
            caller_user_id=user_id,
            dialled=destination,
            trunk_id=None,
            started_at=board.parts.clock.now(),
            node=board.parts.node,
        )
        name = self._callee_name(tenant, destination)
        board.originate(facts, inputs.Originated(contacts, name, requested_by, ring_seconds, auto_answer))
        return facts.call_id

    def knows_user(self, tenant: str, user_id: str) -> bool:
        """Whether the tenant has this user."""
        config = self.accounts.config(tenant)
        return config is not None and user_id in config.users

    def _callee_name(self, tenant: str, destination: str) -> str:
        config = self.accounts.config(tenant)
        extension = config.extensions.get(destination) if config else None
        user_id = extension.destination.user_id if extension else None
        return self.accounts.name_of(tenant, user_id) if user_id else ""
