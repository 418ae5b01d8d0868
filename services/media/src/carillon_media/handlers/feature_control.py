"""What people and programs ask of calls by API that users also dial: the same codes, dialled in the user's name, with the user's rights.

Invariant: nothing is possible here that the user's own phone could not do.
"""

from collections.abc import Callable, Iterable

from carillon_contracts.config import Feature, codes_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain import inputs
from carillon_media.domain.elsewhere import NodeCall, wanted
from carillon_media.domain.state import Talking
from carillon_media.domain.steps import SuperviseMode
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.control import CallControl, Refused, UnknownLeg
from carillon_media.handlers.elsewhere import summary

RING_SECONDS = 30.0
#: Seconds for routing to say that a call may be parked, and for the call to be in its slot.
PARK_SECONDS = 5.0


class UnknownUser(Exception):
    """The tenant has no such user."""


class AtNode(Exception):
    """The call that is meant is another node's, which is to be asked."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


class FeatureControl:
    """Park, take, supervise, consult, open. `elsewhere` gives a tenant's calls on other nodes, each with its node."""

    def __init__(self, control: CallControl, elsewhere: Callable[[str], Iterable[tuple[str, NodeCall]]] = lambda tenant: ()) -> None:
        self._control = control
        self._elsewhere = elsewhere
        self._board = control.board
        self._accounts = control.accounts

    async def park(self, tenant: str, call_id: str, leg_id: str, slot: str, requested_by: str) -> str:
        """Returns the slot. Raises UnknownCall, UnknownLeg, Refused."""
        config = self._config(tenant)
        if slot and not any(lot.holds(slot) for lot in config.parking_lots.values()):
            raise Refused(f"{slot} is no parking slot of this tenant")
        destination = slot or self._code(config, "park")
        actor = self._control.find(tenant, call_id)
        parked = self._board.features.next_parking(actor)
        await self._control.ask(tenant, call_id, inputs.ParkRequested(requested_by, leg_id, destination))
        found = await parked.within(PARK_SECONDS)
        if not found:
            raise Refused("no slot was free, or the call ended")
        return found

    def unpark(self, tenant: str, user_id: str, slot: str, requested_by: str, *, auto_answer: bool) -> str:
        """Returns the id of the user's call. Raises UnknownUser, Refused."""
        if not any(lot.holds(slot) for lot in self._config(tenant).parking_lots.values()):
            raise Refused(f"{slot} is no parking slot of this tenant")
        return self._dial(tenant, user_id, slot, requested_by, auto_answer=auto_answer)

    def pick_up(self, tenant: str, user_id: str, rung_user_id: str, requested_by: str, *, auto_answer: bool) -> str:
        """Returns the id of the user's call. Raises UnknownUser, Refused."""
        config = self._config(tenant)
        digits = self._at(config, "pick_up", rung_user_id) if rung_user_id else self._code(config, "pick_up_group")
        return self._dial(tenant, user_id, digits, requested_by, auto_answer=auto_answer)

    def supervise(
        self,
        tenant: str,
        supervisor: str,
        user_id: str,
        mode: SuperviseMode,
        requested_by: str,
        *,
        auto_answer: bool,
    ) -> str:
        """Returns the id of the supervisor's call. Raises UnknownUser, Refused."""
        digits = self._at(self._config(tenant), mode, user_id)
        return self._dial(tenant, supervisor, digits, requested_by, auto_answer=auto_answer)

    async def open_door(self, tenant: str, call_id: str, leg_id: str, requested_by: str) -> None:
        """Raises UnknownCall, UnknownLeg, Refused."""
        actor = self._control.find(tenant, call_id)
        leg = actor.call.legs.get(leg_id)
        if leg is None:
            raise UnknownLeg
        door = self._board.parts.directory.door_phone(tenant, leg.party)
        if door is None:
            raise Refused(f"leg {leg_id} is no door phone")
        await self._control.ask(tenant, call_id, inputs.OpenDoorRequested(requested_by, leg_id, door.lock_digits))

    async def consult(self, tenant: str, call_id: str, leg_id: str, destination: str, requested_by: str) -> str:
        """Returns the id of the second call. Raises UnknownCall, UnknownLeg, Refused."""
        actor = self._control.find(tenant, call_id)
        user_id = self._user_of(actor, leg_id)
        if not actor.call.legs[leg_id].held:
            await self._control.ask(tenant, call_id, inputs.HoldRequested(requested_by, leg_id, True))
        return self._control.originate(tenant, user_id, destination, requested_by, RING_SECONDS, auto_answer=True)

    async def complete(self, tenant: str, call_id: str, leg_id: str, consult_call_id: str) -> None:
        """Raises UnknownCall, UnknownLeg, Refused."""
        actor = self._control.find(tenant, call_id)
        user_id = self._user_of(actor, leg_id)
        there = next((call for _, call in self._elsewhere(tenant) if call.call_id == consult_call_id), None)
        if there is not None:
            mine = [leg.session for leg in there.legs if leg.party == user_id]
            reason = await self._board.transfers.join_there(actor, leg_id, mine[0]) if mine else f"user {user_id} has no part in it"
            if reason:
                raise Refused(reason)
            return
        other = self._control.find(tenant, consult_call_id)
        own = [leg.leg_id for leg in other.call.legs.values() if leg.party == user_id and leg.state == "answered"]
        if not own:
            raise Refused(f"user {user_id} has no part in call {consult_call_id}")
        if reason := await self._board.transfers.join(actor, leg_id, other, own[0]):
            raise Refused(reason)

    # -- words ------------------------------------------------------------------------------------------------------------

    def _user_of(self, actor: CallActor, leg_id: str) -> str:
        leg = actor.call.legs.get(leg_id)
        if leg is None:
            raise UnknownLeg
        if not isinstance(actor.call.state.phase, Talking) or leg.party not in self._config(actor.call.facts.tenant).users:
            raise Refused(f"leg {leg_id} is no user who talks")
        return leg.party

    def _dial(self, tenant: str, user_id: str, digits: str, requested_by: str, *, auto_answer: bool) -> str:
        if not self._control.knows_user(tenant, user_id):
            raise UnknownUser(user_id)
        if (node := self._node_of(tenant, user_id, digits)) is not None:
            raise AtNode(node)
        return self._control.originate(tenant, user_id, digits, requested_by, RING_SECONDS, auto_answer=auto_answer)

    def _node_of(self, tenant: str, user_id: str, digits: str) -> str | None:
        """The other node that has the call which is meant, where this one has none."""
        wish = wanted(self._config(tenant), user_id, digits)
        if wish is None or any(actor.call.facts.tenant == tenant and wish.is_(summary(actor)) for actor in self._board.calls.values()):
            return None
        return next((node for node, call in self._elsewhere(tenant) if wish.is_(call)), None)

    def _config(self, tenant: str) -> TenantConfig:
        return self._accounts.config(tenant) or TenantConfig(tenant)

    def _code(self, config: TenantConfig, feature: Feature) -> str:
        code = codes_of(config.tenant.feature_codes).get(feature)
        if code is None:
            raise Refused(f"this tenant has no code for {feature}")
        return code

    def _at(self, config: TenantConfig, feature: Feature, user_id: str) -> str:
        """The feature at the user's extension."""
        if user_id not in config.users:
            raise UnknownUser(user_id)
        extension = config.extension_of(user_id)
        if not extension:
            raise Refused(f"user {user_id} has no extension")
        return self._code(config, feature) + extension
