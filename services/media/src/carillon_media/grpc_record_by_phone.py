"""`AudioService.RecordByPhone`: a call of the studio, told as it goes to who asked for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import orjson

from carillon.media.v1 import audio_pb2 as pb
from carillon_contracts.config import Tenant
from carillon_kit.errors import ApiError, NotFound
from carillon_kit.grpc_server import current_tenant
from carillon_media.adapters.audio_files import BadAudio
from carillon_media.domain import inputs
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.identity import is_dialable
from carillon_media.domain.recording_dialogue import Task
from carillon_media.grpc_features import check, needed, refusals, who
from carillon_media.handlers.control import CallControl, Refused, UnknownCall
from carillon_media.handlers.studio import Studio, Take, Wanted
from carillon_media.handlers.taps import FellBehind

Import = Callable[[bytes], Awaitable[pb.UploadAudioResponse]]
Recorded = Callable[[str], Awaitable[Path | None]]
RING_SECONDS, MAX_RING_SECONDS = 30, 120
MAX_SECONDS = 300
#: The drafts of an announcement lie among the recordings of calls, that long.
DRAFT_DAYS = "1"
_STATES: Mapping[str, pb.RecordByPhoneState.ValueType] = {
    "leg_ringing": pb.RECORD_BY_PHONE_STATE_RINGING,
    "leg_answered": pb.RECORD_BY_PHONE_STATE_ANSWERED,
    "recording_started": pb.RECORD_BY_PHONE_STATE_RECORDING,
    "recording_finished": pb.RECORD_BY_PHONE_STATE_RECORDED,
}


class RecordByPhone:
    """`recorded` gives the file of an object that a call has recorded."""

    def __init__(self, control: CallControl, studio: Studio, recorded: Recorded) -> None:
        self._control = control
        self._studio = studio
        self._recorded = recorded

    async def run(self, request: pb.RecordByPhoneRequest, take_in: Import) -> AsyncIterator[pb.RecordByPhoneResponse]:
        """From the call to what became of it; the call ends with whoever reads this."""
        wanted = self._wanted(request)
        kept: list[pb.UploadAudioResponse] = []

        async def keep(name: str) -> str:
            try:
                path = await self._recorded(name)
                if path is None:
                    return "the recording is not there"
                kept.append(await take_in(path.read_bytes()))
            except BadAudio as error:
                return f"the recording {error}"
            except (ApiError, OSError) as error:
                return str(error)
            return ""

        async with refusals(user=request.user_id):
            take = await self._studio.begin(self._control, wanted, keep)
        try:
            async for response in self._told(wanted.tenant, take):
                yield response
            await take.settled.wait()
            yield _end(take, kept)
        finally:
            self._studio.forget(take)
            await self._hang_up(wanted, take)

    async def _told(self, tenant: str, take: Take) -> AsyncIterator[pb.RecordByPhoneResponse]:
        taps, told = self._control.board.taps, pb.RECORD_BY_PHONE_STATE_CALLING
        tap = taps.open(tenant, take.call_id)
        try:
            yield pb.RecordByPhoneResponse(state=told, call_id=take.call_id)
            while (event := await tap.get()) is not None:
                fields = orjson.loads(event)
                fact = fields["type"].split(".")[2]
                if fact == "ended" and not take.kept:
                    take.error = take.error or f"the call ended: {fields['data']['cause']}"
                state = _STATES.get(fact, told)
                if state != told:
                    told = state
                    yield pb.RecordByPhoneResponse(state=state, call_id=take.call_id)
        except FellBehind:
            take.error = take.error or "its progress was not read"
        finally:
            taps.close(tap)

    async def _hang_up(self, wanted: Wanted, take: Take) -> None:
        try:
            await self._control.ask(wanted.tenant, take.call_id, inputs.HangUpRequested(wanted.requested_by, NORMAL_CLEARING))
        except (UnknownCall, Refused):
            return

    def _wanted(self, request: pb.RecordByPhoneRequest) -> Wanted:
        """Raises InvalidArgument or NotFound."""
        ring, seconds = request.ring_seconds or RING_SECONDS, request.max_seconds or MAX_SECONDS
        dialable = not request.number or is_dialable(request.number)
        check(
            {
                "user_id": needed(request.user_id),
                "number": "" if dialable else "not what a phone can dial: digits, + * #, or a short name",
                "ring_seconds": "" if 0 < ring <= MAX_RING_SECONDS else f"1 to {MAX_RING_SECONDS}",
                "max_seconds": "" if 0 < seconds <= MAX_SECONDS else f"1 to {MAX_SECONDS}",
            }
        )
        tenant, particulars = current_tenant(), request.particulars
        if not self._control.knows_user(tenant, request.user_id):
            raise NotFound(f"users/{request.user_id}")
        config = self._control.accounts.config(tenant)
        own = config.get(Tenant, tenant) if config is not None else None
        language = particulars.language or (own.language if own is not None else "en")
        labels = {"audio_id": particulars.audio_id, "retention_days": DRAFT_DAYS}
        task = Task(language, seconds * 1000, labels)
        title = particulars.display_name or particulars.audio_id
        return Wanted(tenant, request.user_id, request.number, particulars.audio_id, title, who(), ring, task)


def _end(take: Take, kept: list[pb.UploadAudioResponse]) -> pb.RecordByPhoneResponse:
    if take.kept and kept:
        return pb.RecordByPhoneResponse(state=pb.RECORD_BY_PHONE_STATE_KEPT, call_id=take.call_id, audio=kept[-1])
    reason = take.error or "the recording was not kept"
    return pb.RecordByPhoneResponse(state=pb.RECORD_BY_PHONE_STATE_NOT_KEPT, call_id=take.call_id, reason=reason)
