"""`ConferenceService`: the rooms of the caller's tenant that are in use on this node."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc.aio

from carillon.media.v1 import conference_pb2 as pb
from carillon.media.v1.conference_pb2_grpc import ConferenceServiceServicer, add_ConferenceServiceServicer_to_server
from carillon_kit import pages
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE
from carillon_kit.errors import FailedPrecondition, NotFound, Unavailable
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant
from carillon_media.domain.conference import Room
from carillon_media.handlers.rooms import Rooms

CONFERENCES = "carillon.media.v1.ConferenceService"
_WHO = frozenset({ADMIN, OPERATOR, SERVICE})
CONFERENCE_RIGHTS: Mapping[str, frozenset[str]] = dict.fromkeys(
    (
        "ListConferences",
        "WatchConference",
        "MuteParty",
        "KickParty",
        "LockConference",
        "CloseConference",
        "StartConferenceRecording",
        "StopConferenceRecording",
    ),
    _WHO,
)
Context = grpc.aio.ServicerContext[Any, Any]


class ConferenceApi(ConferenceServiceServicer):
    """`ConferenceService`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def ListConferences(self, request: pb.ListConferencesRequest, context: Context) -> pb.ListConferencesResponse:
        """Rooms in use, by id."""
        rooms = self._rooms.of(current_tenant())
        page, token = pages.cut(rooms, lambda room: room.room_id, request.page_size, request.page_token)
        return pb.ListConferencesResponse(conferences=[message(room) for room in page], next_page_token=token)

    async def WatchConference(self, request: pb.WatchConferenceRequest, context: Context) -> AsyncIterator[pb.WatchConferenceResponse]:
        """As it is, and at each change; changes that come at once are told at once."""
        tenant = current_tenant()
        if self._rooms.find(tenant, request.room_id) is None:
            raise NotFound(f"conferences/{request.room_id}")
        news, told = self._rooms.watch(), None
        try:
            while (room := self._rooms.find(tenant, request.room_id)) is not None:
                if room != told:
                    told = room
                    yield pb.WatchConferenceResponse(conference=message(room))
                news.clear()
                if self._rooms.find(tenant, request.room_id) is told:
                    await news.wait()
        finally:
            self._rooms.unwatch(news)

    async def MuteParty(self, request: pb.MutePartyRequest, context: Context) -> pb.MutePartyResponse:
        """Or unmute."""
        done = await self._rooms.mute(current_tenant(), request.room_id, request.call_id, request.muted)
        _found(done, f"conferences/{request.room_id}/parties/{request.call_id}")
        return pb.MutePartyResponse()

    async def KickParty(self, request: pb.KickPartyRequest, context: Context) -> pb.KickPartyResponse:
        """Put out."""
        done = self._rooms.put_out(current_tenant(), request.room_id, request.call_id)
        _found(done, f"conferences/{request.room_id}/parties/{request.call_id}")
        return pb.KickPartyResponse()

    async def LockConference(self, request: pb.LockConferenceRequest, context: Context) -> pb.LockConferenceResponse:
        """Or unlock."""
        _found(self._rooms.lock(current_tenant(), request.room_id, request.locked), f"conferences/{request.room_id}")
        return pb.LockConferenceResponse()

    async def CloseConference(self, request: pb.CloseConferenceRequest, context: Context) -> pb.CloseConferenceResponse:
        """Everybody out."""
        _found(self._rooms.close(current_tenant(), request.room_id), f"conferences/{request.room_id}")
        return pb.CloseConferenceResponse()

    async def StartConferenceRecording(
        self, request: pb.StartConferenceRecordingRequest, context: Context
    ) -> pb.StartConferenceRecordingResponse:
        """From now on."""
        await self._record(request.room_id, on=True)
        return pb.StartConferenceRecordingResponse()

    async def StopConferenceRecording(
        self, request: pb.StopConferenceRecordingRequest, context: Context
    ) -> pb.StopConferenceRecordingResponse:
        """Until now."""
        await self._record(request.room_id, on=False)
        return pb.StopConferenceRecordingResponse()

    async def _record(self, room_id: str, *, on: bool) -> None:
        match await self._rooms.record(current_tenant(), room_id, current_principal().subject, on=on):
            case "unknown":
                raise NotFound(f"conferences/{room_id}")
            case "already":
                what = f"conferences/{room_id}"
                raise FailedPrecondition([("RECORDING", what, "it is recorded already" if on else "it is not recorded")])
            case "failed":
                raise Unavailable(f"conferences/{room_id} cannot be recorded now")
            case "done":
                return


def add_conference_service(server: GrpcServer, rooms: Rooms) -> None:
    """Serve it."""
    server.add(add_ConferenceServiceServicer_to_server, ConferenceApi(rooms), CONFERENCES, CONFERENCE_RIGHTS)


def message(room: Room) -> pb.Conference:
    """The room as the API shows it, parties in the order in which they came."""
    parties = [
        pb.ConferenceParty(
            call_id=member.key,
            name=member.name,
            number=member.number,
            creator=member.creator,
            muted=member.muted,
            talking=member.talking,
        )
        for member in room.members.values()
    ]
    return pb.Conference(
        room_id=room.room_id,
        meeting_id=room.meeting_id,
        display_name=room.display_name,
        locked=room.locked,
        parties=parties,
        recorded=room.recorded,
    )


def _found(done: bool, what: str) -> None:
    if not done:
        raise NotFound(what)
