"""`RecordingService`: recordings of the tenant of the caller's token that the caller reaches, and no others."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import recording_pb2 as pb
from carillon.cdr.v1.recording_pb2_grpc import RecordingServiceServicer, add_RecordingServiceServicer_to_server
from carillon_cdr.access import Access
from carillon_cdr.adapters.postgres_recordings import PostgresRecordings, forget
from carillon_cdr.domain.recordings import Recording
from carillon_contracts.rights import RECORDING
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, USER
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_kit.pages import decode_token, encode_token, page_size

RECORDINGS = "carillon.cdr.v1.RecordingService"
_ADMINS = frozenset({ADMIN, OPERATOR, DEPARTMENT_ADMIN})
RECORDING_RIGHTS = {"ListRecordings": _ADMINS | {USER}, "FetchRecording": _ADMINS | {USER}, "DeleteRecording": _ADMINS}
CHUNK_BYTES = 64 * 1024


class RecordingApi(RecordingServiceServicer):
    """`RecordingService`; `wake` has the audit event published."""

    def __init__(self, recordings: PostgresRecordings, objects: ObjectStore, access: Access, wake: Callable[[], None]) -> None:
        self._recordings = recordings
        self._objects = objects
        self._access = access
        self._wake = wake

    async def ListRecordings(self, request: pb.ListRecordingsRequest, context: Any) -> pb.ListRecordingsResponse:
        """One page, newest first."""
        reached = self._access.reached(RECORDING)
        for field, what in (("call_id", "call"), ("user_id", "user")):
            if len(given := getattr(request, field)) > 256 or not given.isprintable():
                raise InvalidArgument({field: f"not a {what}'s id"})
        size = page_size(request.page_size)
        begun = (_moment(request, "from"), _moment(request, "to"))
        found = await self._recordings.list(
            current_tenant(), reached, request.call_id, request.user_id, begun, _position(request), size + 1
        )
        response = pb.ListRecordingsResponse(recordings=[message(recording) for recording in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            token = {"at": last.started_at.isoformat(), "id": str(last.recording_id), "call": request.call_id, "user": request.user_id}
            response.next_page_token = encode_token(token)
        return response

    async def FetchRecording(self, request: pb.FetchRecordingRequest, context: Any) -> AsyncIterator[pb.FetchRecordingResponse]:
        """The audio, chunk by chunk."""
        reached = self._access.reached(RECORDING)
        recording = await self._recordings.get(current_tenant(), _id(request.recording_id), reached)
        if recording is None:
            raise NotFound(f"recordings/{request.recording_id}")
        try:
            data = await self._objects.get(recording.object)
        except ObjectNotFound as error:
            raise NotFound(f"the audio of recordings/{request.recording_id}") from error
        except ConnectionError as error:
            raise Unavailable("the object store is away; try again") from error
        for start in range(0, len(data), CHUNK_BYTES):
            yield pb.FetchRecordingResponse(chunk=data[start : start + CHUNK_BYTES])

    async def DeleteRecording(self, request: pb.DeleteRecordingRequest, context: Any) -> pb.DeleteRecordingResponse:
        """For good."""
        reached = self._access.reached(RECORDING, "write")
        recording_id, by = _id(request.recording_id), current_principal().subject
        if len(request.reason) > 500:
            raise InvalidArgument({"reason": "at most 500 characters"})
        there = await self._recordings.get(current_tenant(), recording_id, reached)
        name = await self._recordings.delete(current_tenant(), recording_id, by, request.reason) if there is not None else None
        if name is None:
            raise NotFound(f"recordings/{request.recording_id}")
        self._wake()
        try:
            await forget(self._objects, name)
        except ConnectionError as error:
            raise Unavailable("it is listed no more, but the object store is away: its audio is still there") from error
        return pb.DeleteRecordingResponse()


def add_recording_service(
    server: GrpcServer, recordings: PostgresRecordings, objects: ObjectStore, access: Access, wake: Callable[[], None]
) -> None:
    """Serve it."""
    api = RecordingApi(recordings, objects, access, wake)
    server.add(add_RecordingServiceServicer_to_server, api, RECORDINGS, RECORDING_RIGHTS, checks_profiles=True)


def message(recording: Recording) -> pb.Recording:
    """As the API shows it."""
    return pb.Recording(
        recording_id=str(recording.recording_id),
        call_id=recording.call_id,
        leg_id=recording.leg_id,
        started_at=_timestamp(recording.started_at),
        duration_ms=recording.duration_ms,
        bytes=recording.bytes,
        expires_at=_timestamp(recording.expires_at),
        labels=recording.labels,
    )


def _timestamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment.astimezone(UTC).replace(tzinfo=None))
    return found


def _moment(request: pb.ListRecordingsRequest, field: str) -> datetime | None:
    if not request.HasField(field):  # type: ignore[arg-type]
        return None
    try:
        moment: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument({field: "is not a moment of the years 1 to 9999"}) from error
    return moment


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidArgument({"recording_id": "not a recording's id"}) from error


def _position(request: pb.ListRecordingsRequest) -> tuple[datetime, UUID] | None:
    token = decode_token(request.page_token)
    if not token:
        return None
    try:
        if (token["call"], token["user"]) != (request.call_id, request.user_id):
            raise InvalidArgument({"page_token": "made for another list"})
        at = datetime.fromisoformat(token["at"])
        return at if at.tzinfo else at.replace(tzinfo=UTC), UUID(token["id"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument({"page_token": "not a token of this list"}) from error
