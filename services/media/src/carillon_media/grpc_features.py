"""The verbs of `CallControlService` that users also have by code, checked field by field."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import grpc.aio

from carillon.media.v1 import call_control_pb2 as pb
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_media.domain.identity import is_dialable
from carillon_media.handlers.control import Refused, UnknownCall, UnknownLeg
from carillon_media.handlers.feature_control import FeatureControl, UnknownUser

Context = grpc.aio.ServicerContext[Any, Any]
NEEDED = "needed"
_MODES: Mapping[int, Literal["listen", "whisper", "barge"]] = {
    pb.SUPERVISION_MODE_LISTEN: "listen",
    pb.SUPERVISION_MODE_WHISPER: "whisper",
    pb.SUPERVISION_MODE_BARGE: "barge",
}


class FeatureVerbs:
    """To be mixed into the servicer."""

    def __init__(self, features: FeatureControl) -> None:
        self._features = features

    async def ParkCall(self, request: pb.ParkCallRequest, context: Context) -> pb.ParkCallResponse:
        """In the other leg's name."""
        check({"call_id": needed(request.call_id), "leg_id": needed(request.leg_id), "slot": _slot(request.slot)})
        async with refusals(call=request.call_id):
            slot = await self._features.park(current_tenant(), request.call_id, request.leg_id, request.slot, who())
        return pb.ParkCallResponse(slot=slot)

    async def UnparkCall(self, request: pb.UnparkCallRequest, context: Context) -> pb.UnparkCallResponse:
        """As the user would by dialling the slot."""
        check({"user_id": needed(request.user_id), "slot": needed(request.slot) or _slot(request.slot)})
        async with refusals(user=request.user_id):
            call_id = self._features.unpark(current_tenant(), request.user_id, request.slot, who(), auto_answer=request.auto_answer)
        return pb.UnparkCallResponse(call_id=call_id)

    async def PickUpCall(self, request: pb.PickUpCallRequest, context: Context) -> pb.PickUpCallResponse:
        """As the user would by dialling the code."""
        check({"user_id": needed(request.user_id)})
        auto, rung = request.auto_answer, request.rung_user_id
        async with refusals(user=request.user_id):
            call_id = self._features.pick_up(current_tenant(), request.user_id, rung, who(), auto_answer=auto)
        return pb.PickUpCallResponse(call_id=call_id)

    async def SuperviseCall(self, request: pb.SuperviseCallRequest, context: Context) -> pb.SuperviseCallResponse:
        """As the supervisor would by dialling the code."""
        mode, supervisor, user = _MODES.get(request.mode), request.supervisor_user_id, request.user_id
        check({"supervisor_user_id": needed(supervisor), "user_id": needed(user), "mode": "" if mode else "listen, whisper or barge"})
        assert mode is not None
        auto = request.auto_answer
        async with refusals(user=supervisor):
            call_id = self._features.supervise(current_tenant(), supervisor, user, mode, who(), auto_answer=auto)
        return pb.SuperviseCallResponse(call_id=call_id)

    async def OpenDoor(self, request: pb.OpenDoorRequest, context: Context) -> pb.OpenDoorResponse:
        """The door phone hears what opens it."""
        check({"call_id": needed(request.call_id), "leg_id": needed(request.leg_id)})
        async with refusals(call=request.call_id):
            await self._features.open_door(current_tenant(), request.call_id, request.leg_id, who())
        return pb.OpenDoorResponse()

    async def ConsultTransfer(self, request: pb.ConsultTransferRequest, context: Context) -> pb.ConsultTransferResponse:
        """Hold, and call the destination."""
        dialable = "" if is_dialable(request.destination) else "not what a phone can dial: digits, + * #, or a short name"
        check({"call_id": needed(request.call_id), "leg_id": needed(request.leg_id), "destination": dialable})
        async with refusals(call=request.call_id):
            call_id = await self._features.consult(current_tenant(), request.call_id, request.leg_id, request.destination, who())
        return pb.ConsultTransferResponse(consult_call_id=call_id)

    async def CompleteTransfer(self, request: pb.CompleteTransferRequest, context: Context) -> pb.CompleteTransferResponse:
        """Join the two calls."""
        consult = request.consult_call_id
        same = "is the same call" if consult and consult == request.call_id else needed(consult)
        check({"call_id": needed(request.call_id), "leg_id": needed(request.leg_id), "consult_call_id": same})
        async with refusals(call=request.call_id):
            await self._features.complete(current_tenant(), request.call_id, request.leg_id, consult)
        return pb.CompleteTransferResponse()


@asynccontextmanager
async def refusals(*, call: str = "", user: str = "") -> AsyncIterator[None]:
    """What the handlers refuse, as errors of the API."""
    about = f"calls/{call}" if call else f"users/{user}"
    try:
        yield
    except UnknownCall as error:
        raise NotFound(about) from error
    except UnknownUser as error:
        raise NotFound(f"users/{error}") from error
    except UnknownLeg as error:
        raise InvalidArgument({"leg_id": "the call has no such leg"}) from error
    except Refused as refused:
        raise FailedPrecondition([("STATE", about, str(refused))]) from refused


def who() -> str:
    """Who asks."""
    return current_principal().subject


def needed(value: str) -> str:
    """What is wrong with a field that must be given."""
    return "" if value else NEEDED


def check(fields: Mapping[str, str]) -> None:
    """Raises InvalidArgument with each field that is wrong, and why."""
    wrong = {field: reason for field, reason in fields.items() if reason}
    if wrong:
        raise InvalidArgument(wrong)


def _slot(slot: str) -> str:
    return "" if not slot or (slot.isdecimal() and len(slot) <= 6) else "2 to 6 digits"
