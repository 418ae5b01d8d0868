"""`CallControlService`: requests about calls, checked field by field."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc.aio
import orjson

from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceServicer
from carillon_contracts.causes import Q850
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, USER
from carillon_kit.errors import ApiError, NotFound
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_media.domain import inputs
from carillon_media.domain.identity import is_dialable
from carillon_media.domain.keys import Manner
from carillon_media.domain.steps import Speech, TapeSides
from carillon_media.grpc_access import OF_PEOPLE, LiveAccess
from carillon_media.grpc_features import FeatureVerbs, check, refusals, who
from carillon_media.handlers.control import CallControl, UnknownCall
from carillon_media.handlers.feature_control import FeatureControl
from carillon_media.handlers.originations import originate_at
from carillon_media.handlers.taps import FellBehind, Taps

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CALL_CONTROL = "carillon.media.v1.CallControlService"
_WHO = frozenset({ADMIN, OPERATOR, SERVICE, DEPARTMENT_ADMIN})
CALL_CONTROL_RIGHTS: Mapping[str, frozenset[str]] = dict.fromkeys(
    (
        "HangUpCall",
        "HoldLeg",
        "ResumeLeg",
        "TransferCall",
        "SendDigits",
        "PlayToCall",
        "StartRecording",
        "StopRecording",
        "PauseRecording",
        "ResumeRecording",
        "OriginateCall",
        "AnswerCall",
        "ConsultTransfer",
        "CompleteTransfer",
        "ParkCall",
        "UnparkCall",
        "PickUpCall",
        "SuperviseCall",
        "OpenDoor",
        "WatchCallEvents",
    ),
    _WHO,
) | dict.fromkeys(OF_PEOPLE, _WHO | {USER})
#: So begin the arguments that routing takes as variables of the call.
VARIABLE = "variables."
MAX_DIGITS = 64
_SIDES: Mapping[int, TapeSides] = {
    pb.RECORDING_SIDES_UNSPECIFIED: "said",
    pb.RECORDING_SIDES_EACH: "said",
    pb.RECORDING_SIDES_MIX: "mix",
    pb.RECORDING_SIDES_STEREO: "stereo",
    pb.RECORDING_SIDES_CALLER: "caller",
    pb.RECORDING_SIDES_CALLED: "called",
}
_MANNERS: Mapping[int, Manner] = {
    pb.DIGITS_MANNER_UNSPECIFIED: "auto",
    pb.DIGITS_MANNER_TELEPHONE_EVENTS: "events",
    pb.DIGITS_MANNER_INFO: "info",
    pb.DIGITS_MANNER_TONES: "tones",
}
#: A label by which services know recordings that are theirs.
PURPOSE = "purpose"
MAX_TEXT = 2000
MAX_LABELS, MAX_LABEL = 16, 256
MAX_RECORDING_SECONDS = 7200
RING_SECONDS, MAX_RING_SECONDS = 30, 120
NORMAL_CLEARING = 16
Context = grpc.aio.ServicerContext[Any, Any]


class TooSlow(ApiError):
    """A watcher that did not keep up."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class CallControlApi(FeatureVerbs, CallControlServiceServicer):
    """`CallControlService`."""

    def __init__(self, control: CallControl, features: FeatureControl, taps: Taps, access: LiveAccess) -> None:
        super().__init__(features)
        self.access = access
        self._control = control
        self._taps = taps

    async def HangUpCall(self, request: pb.HangUpCallRequest, context: Context) -> pb.HangUpCallResponse:
        """End it."""
        cause = Q850.get(request.cause or NORMAL_CLEARING)
        check({"cause": "" if cause else "not a Q.850 cause of this system"})
        await self._ask(request.call_id, inputs.HangUpRequested(who(), cause or ""))
        return pb.HangUpCallResponse()

    async def AnswerCall(self, request: pb.AnswerCallRequest, context: Context) -> pb.AnswerCallResponse:
        """A phone that rings answers by itself."""
        await self._ask(request.call_id, inputs.AnswerRequested(who(), _leg(request.leg_id)))
        return pb.AnswerCallResponse()

    async def HoldLeg(self, request: pb.HoldLegRequest, context: Context) -> pb.HoldLegResponse:
        """Music for the other side."""
        await self._ask(request.call_id, inputs.HoldRequested(who(), _leg(request.leg_id), True))
        return pb.HoldLegResponse()

    async def ResumeLeg(self, request: pb.ResumeLegRequest, context: Context) -> pb.ResumeLegResponse:
        """Both hear each other again."""
        await self._ask(request.call_id, inputs.HoldRequested(who(), _leg(request.leg_id), False))
        return pb.ResumeLegResponse()

    async def TransferCall(self, request: pb.TransferCallRequest, context: Context) -> pb.TransferCallResponse:
        """Blind transfer."""
        check({"leg_id": "" if request.leg_id else "needed", "destination": _undialable(request.destination)})
        await self._ask(request.call_id, inputs.TransferRequested(who(), request.leg_id, request.destination))
        return pb.TransferCallResponse()

    async def SendDigits(self, request: pb.SendDigitsRequest, context: Context) -> pb.SendDigitsResponse:
        """Keys of a phone."""
        digits = request.digits.upper()
        good = 0 < len(digits) <= MAX_DIGITS and set(digits) <= set("0123456789ABCD*#")
        check({"leg_id": "" if request.leg_id else "needed", "digits": "" if good else f"1 to {MAX_DIGITS} of 0-9 A-D * #"})
        check({"manner": "" if request.manner in _MANNERS else "not known"})
        await self._ask(request.call_id, inputs.DigitsRequested(who(), request.leg_id, digits, _MANNERS[request.manner]))
        return pb.SendDigitsResponse()

    async def PlayToCall(self, request: pb.PlayToCallRequest, context: Context) -> pb.PlayToCallResponse:
        """Speak."""
        good = bool(request.text.strip()) and len(request.text) <= MAX_TEXT
        check({"text": "" if good else f"1 to {MAX_TEXT} characters"})
        prompts = (Speech(request.text, request.language or "en"),)
        await self._ask(request.call_id, inputs.PlayRequested(who(), request.leg_id, prompts))
        return pb.PlayToCallResponse()

    async def StartRecording(self, request: pb.StartRecordingRequest, context: Context) -> pb.StartRecordingResponse:
        """Both sides."""
        long = any(len(text) > MAX_LABEL for pair in request.labels.items() for text in pair)
        many = f"at most {MAX_LABELS}, of {MAX_LABEL} characters" if long or len(request.labels) > MAX_LABELS else ""
        if PURPOSE in request.labels and SERVICE not in current_principal().roles:
            many = f"{PURPOSE} is for services: it says who keeps the recording, such as a mailbox"
        seconds = request.max_seconds or MAX_RECORDING_SECONDS
        bounds = "" if 0 < seconds <= MAX_RECORDING_SECONDS else f"1 to {MAX_RECORDING_SECONDS}"
        sides = _SIDES.get(request.sides)
        check({"labels": many, "max_seconds": bounds, "sides": "" if sides else "not known"})
        assert sides is not None
        await self._ask(request.call_id, inputs.RecordRequested(who(), dict(request.labels), seconds * 1000, sides, request.tone))
        return pb.StartRecordingResponse()

    async def StopRecording(self, request: pb.StopRecordingRequest, context: Context) -> pb.StopRecordingResponse:
        """Both sides."""
        await self._ask(request.call_id, inputs.StopRecordRequested(who()))
        return pb.StopRecordingResponse()

    async def PauseRecording(self, request: pb.PauseRecordingRequest, context: Context) -> pb.PauseRecordingResponse:
        """Leave out what is said."""
        await self._ask(request.call_id, inputs.PauseRecordRequested(who(), True))
        return pb.PauseRecordingResponse()

    async def ResumeRecording(self, request: pb.ResumeRecordingRequest, context: Context) -> pb.ResumeRecordingResponse:
        """Go on."""
        await self._ask(request.call_id, inputs.PauseRecordRequested(who(), False))
        return pb.ResumeRecordingResponse()

    async def OriginateCall(self, request: pb.OriginateCallRequest, context: Context) -> pb.OriginateCallResponse:
        """Click to call."""
        seconds = request.ring_seconds or RING_SECONDS
        check(
            {
                "user_id": "" if request.user_id or request.phone else "needed",
                "phone": "" if not request.phone or _E164.fullmatch(request.phone) else "must be E.164, with its plus sign",
                "arguments": _unfit(request),
                "destination": _undialable(request.destination),
                "ring_seconds": "" if 0 < seconds <= MAX_RING_SECONDS else f"1 to {MAX_RING_SECONDS}",
                "call_id": "" if not request.call_id or _UUID.fullmatch(request.call_id) else "must be a UUID in lower case",
            }
        )
        tenant = current_tenant()
        if request.user_id and not self._control.knows_user(tenant, request.user_id):
            raise NotFound(f"users/{request.user_id}")
        async with refusals(user=request.user_id):
            auto = request.auto_answer
            wanted = (tenant, request.user_id, request.destination, who(), seconds)
            if request.phone:
                more = (dict(request.arguments), request.call_id)
                return pb.OriginateCallResponse(call_id=await originate_at(self._control, tenant, request.phone, *wanted[1:], *more))
            call_id = self._control.originate(*wanted, auto_answer=auto, call_id=request.call_id)
        return pb.OriginateCallResponse(call_id=call_id)

    async def WatchCallEvents(self, request: pb.WatchCallEventsRequest, context: Context) -> AsyncIterator[pb.WatchCallEventsResponse]:
        """Past events of calls that are up, then those that come; for a department's admin of one call, as long as they see it."""
        tenant, reached = current_tenant(), self.access.reached()
        check({"call_id": "needed: all calls are for the tenant's admins" if reached is not None and not request.call_id else ""})
        wrong = "only with call_id" if request.after_seq and not request.call_id else "not below 0" if request.after_seq < 0 else ""
        check({"after_seq": wrong})
        if request.call_id:
            self._find(tenant, request.call_id)
            self.access.check_watch(reached, request.call_id)
        if self._taps.full:
            raise TooSlow("too many watch already")
        tap = self._taps.open(tenant, request.call_id, request.after_seq)
        try:
            while (event := await tap.get()) is not None:
                fields = orjson.loads(event)
                self.access.check_watch(reached, fields["callid"])
                yield pb.WatchCallEventsResponse(call_id=fields["callid"], seq=fields["seq"], event=event)
        except FellBehind as error:
            raise TooSlow("events came faster than they were read; come again") from error
        finally:
            self._taps.close(tap)

    def _find(self, tenant: str, call_id: str) -> None:
        try:
            self._control.find(tenant, call_id)
        except UnknownCall as error:
            raise NotFound(f"calls/{call_id}") from error

    async def _ask(self, call_id: str, given: inputs.Request) -> None:
        check({"call_id": "" if call_id else "needed"})
        async with refusals(call=call_id):
            await self._control.ask(current_tenant(), call_id, given)


def _leg(leg_id: str) -> str:
    check({"leg_id": "" if leg_id else "needed"})
    return leg_id


def _unfit(request: pb.OriginateCallRequest) -> str:
    """What is wrong with the arguments: what else than a variable they say is what services tell each other of calls."""
    arguments = request.arguments
    if arguments and not request.phone:
        return "only with phone"
    if len(arguments) > 16 or any(len(text) > 200 for pair in arguments.items() for text in pair):
        return "at most 16, of at most 200 characters"
    of_services = SERVICE not in current_principal().roles and not all(name.startswith(VARIABLE) for name in arguments)
    return f"only names that begin with {VARIABLE}" if of_services else ""


def _undialable(destination: str) -> str:
    return "" if is_dialable(destination) else "not what a phone can dial: digits, + * #, or a short name"
