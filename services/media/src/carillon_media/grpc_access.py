"""Who sees which live calls and does what with them: departments' admins with those of their departments, people with their own.

Always: what somebody may is worked out of the configuration and of the call as they are now; a call that is not theirs is as unknown as one
that never was. Who only rings sees the call and ends nothing: it is theirs who called or talk, and the department's whose queue, group or
mailbox it came through. What is done by a leg, or in a leg's name, is done by those alone whose leg that is.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from carillon_contracts.rights import LIVE_CALL, Asker, Names, level, reach, sees, whose
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import FailedPrecondition, NotFound, PermissionDenied
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.state import CALLER, Leg, Parked
from carillon_media.handlers.actor import CallActor

#: Verbs whose `leg_id` does it, and those that the others do with the leg.
_BY_LEG = frozenset({"HoldLeg", "ResumeLeg", "AnswerCall", "ConsultTransfer", "CompleteTransfer"})
_WITH_LEG = frozenset({"TransferCall", "ParkCall", "SendDigits", "OpenDoor"})
#: Verbs that call somebody's phone, as that user: by the field that names the user.
_AS_USER = {"OriginateCall": "user_id", "UnparkCall": "user_id", "PickUpCall": "user_id", "SuperviseCall": "supervisor_user_id"}
#: What people do, too: what their phone could. The rest (recording, announcements, events) is for admins.
OF_PEOPLE = _BY_LEG | _WITH_LEG | _AS_USER.keys() | {"HangUpCall"}

#: At once and at one node, of a user for whom people and departments' admins have calls made.
MOST_CALLS = 20


class LiveAccess:
    """Of the rpc that is being served; `calls` are those of this node."""

    def __init__(self, calls: Mapping[str, CallActor], accounts: Accounts) -> None:
        self._calls = calls
        self._accounts = accounts

    def reached(self, needed: str = "read") -> Names | None:
        """As `rights.reach` has it. Raises `PermissionDenied` where the caller's rights profile does not allow it."""
        config, principal = self._config(), current_principal()
        asker = Asker.of(principal.roles, principal.subject, principal.department, principal.rights_profile)
        if level(config, asker.rights_profile, LIVE_CALL) not in (needed, "write"):
            raise PermissionDenied(f"the rights profile does not allow to {needed} a {LIVE_CALL}")
        return reach(config, asker)

    def sees(self, reached: Names | None, actor: CallActor) -> bool:
        """Whether it is a call of the tenant that they see."""
        here = actor.call.facts.tenant == current_tenant()
        return here and (reached is None or self._is_of(reached, actor, (leg for leg in actor.call.legs.values() if leg.state != "ended")))

    def check_watch(self, reached: Names | None, call_id: str) -> None:
        """Raises NotFound when the call is up here and they do not see it (any more)."""
        actor = self._calls.get(call_id)
        if actor is not None and not self.sees(reached, actor):
            raise NotFound(f"calls/{call_id}")

    def check(self, rpc: str, request: Any) -> None:
        """Raises NotFound for a call or user that is not theirs, and PermissionDenied; a call that is not here is looked for by others."""
        reached = self.reached("write")
        if reached is None:
            return
        if field := _AS_USER.get(rpc):
            user_id = getattr(request, field)
            if getattr(request, "phone", ""):
                raise PermissionDenied("phone is for the tenant's admins: name a user")
            if getattr(request, "call_id", ""):
                raise PermissionDenied("call_id is for the tenant's admins: a call under the name of another one would have no record")
            if user_id and not sees(reached, whose(self._config(), [user_id])):
                raise NotFound(f"users/{user_id}")
            self._check_few(user_id)
            return
        actor = self._calls.get(request.call_id)
        if actor is not None and not self._may(reached, rpc, actor, getattr(request, "leg_id", "")):
            raise NotFound(f"calls/{request.call_id}")
        if actor is not None and rpc == "ConsultTransfer":
            self._check_few(actor.call.legs[request.leg_id].party)

    def _check_few(self, user_id: str) -> None:
        """Who asks again and again must not take the place of everybody's calls."""
        tenant = current_tenant()
        facts = (actor.call.facts for actor in self._calls.values())
        if sum(each.tenant == tenant and each.caller_user_id == user_id for each in facts) >= MOST_CALLS:
            raise FailedPrecondition([("STATE", f"users/{user_id}", f"has {MOST_CALLS} calls at once already")])

    def _may(self, reached: Names, rpc: str, actor: CallActor, leg_id: str) -> bool:
        if not self.sees(reached, actor):
            return False
        legs = [leg for leg in actor.call.legs.values() if leg.state != "ended"]
        if rpc in _BY_LEG:
            return self._has(reached, (leg for leg in legs if leg.leg_id == leg_id))
        within = [leg for leg in legs if leg.state == "answered" or leg.leg_id.startswith(CALLER)]
        if rpc in _WITH_LEG:
            return self._has(reached, (leg for leg in within if leg.leg_id != leg_id))
        return self._is_of(reached, actor, within)

    def _has(self, reached: Names, legs: Iterable[Leg]) -> bool:
        return sees(reached, whose(self._config(), (leg.party for leg in legs)))

    def _is_of(self, reached: Names, actor: CallActor, legs: Iterable[Leg]) -> bool:
        state = actor.call.state
        parked_by = [state.phase.parked_by] if isinstance(state.phase, Parked) else []
        config, parties = self._config(), [*(leg.party for leg in legs), *parked_by]
        through = {name for name in whose(config, (), state.ways) if name.startswith("department/")}
        return sees(reached, whose(config, parties) | through)

    def _config(self) -> TenantConfig:
        return self._accounts.config(current_tenant()) or TenantConfig(current_tenant())
