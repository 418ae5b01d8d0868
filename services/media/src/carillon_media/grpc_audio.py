"""`AudioService`: files of announcements and music, in and out."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc.aio

from carillon.directory.v1 import audio_pb2 as directory_pb
from carillon.media.v1 import audio_pb2 as pb
from carillon.media.v1.audio_pb2_grpc import AudioServiceServicer, add_AudioServiceServicer_to_server
from carillon_contracts.config import Audio
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_media.adapters.audio_files import MAX_BYTES, AudioImporter, BadAudio
from carillon_media.adapters.audio_register import AudioRegister, Metadata
from carillon_media.grpc_record_by_phone import RecordByPhone, Recorded
from carillon_media.handlers.control import CallControl
from carillon_media.handlers.studio import Studio

AUDIO = "carillon.media.v1.AudioService"
AUDIO_RIGHTS: Mapping[str, frozenset[str]] = {
    "UploadAudio": frozenset({ADMIN, OPERATOR}),
    "FetchAudio": frozenset({ADMIN, OPERATOR, SERVICE}),
    "RecordByPhone": frozenset({ADMIN, OPERATOR}),
}
CHUNK_BYTES = 64 * 1024
Context = grpc.aio.ServicerContext[Any, Any]


class AudioApi(AudioServiceServicer):
    """`AudioService`."""

    def __init__(
        self, control: CallControl, importer: AudioImporter, register: AudioRegister, store: ObjectStore, recorder: RecordByPhone
    ) -> None:
        self._accounts = control.accounts
        self._importer = importer
        self._register = register
        self._store = store
        self._recorder = recorder

    async def UploadAudio(self, request_iterator: AsyncIterator[pb.UploadAudioRequest], context: Context) -> pb.UploadAudioResponse:
        """Particulars, then chunks."""
        tenant = current_tenant()
        particulars, content = await _received(request_iterator)
        try:
            return await self._keep(particulars, content, current_principal().subject, caller_of(context, tenant))
        except BadAudio as error:
            raise InvalidArgument({"chunk": f"the file {error}"}) from error

    async def _keep(self, particulars: pb.AudioParticulars, content: bytes, who: str, caller: Metadata) -> pb.UploadAudioResponse:
        """Convert, keep, and register in the caller's name. Raises BadAudio or ApiError."""
        try:
            imported = await self._importer.take(content, "music" if particulars.music else "announcement")
        except ConnectionError as error:
            raise Unavailable("the object store is away; try again") from error
        audio = directory_pb.Audio(
            id=particulars.audio_id,
            display_name=particulars.display_name,
            purpose=directory_pb.AUDIO_PURPOSE_MUSIC if particulars.music else directory_pb.AUDIO_PURPOSE_ANNOUNCEMENT,
            language=particulars.language,
            text=particulars.text,
        )
        await self._register.keep(audio, imported, who, caller)
        return pb.UploadAudioResponse(
            audio_id=particulars.audio_id,
            object=imported.object,
            wide_object=imported.wide_object,
            duration_ms=imported.duration_ms,
            source_format=imported.source_format,
        )

    async def RecordByPhone(self, request: pb.RecordByPhoneRequest, context: Context) -> AsyncIterator[pb.RecordByPhoneResponse]:
        """A call, told as it goes."""
        check_particulars(request.particulars)
        who, caller = current_principal().subject, caller_of(context, current_tenant())

        async def keep(content: bytes) -> pb.UploadAudioResponse:
            return await self._keep(request.particulars, content, who, caller)

        async for response in self._recorder.run(request, keep):
            yield response

    async def FetchAudio(self, request: pb.FetchAudioRequest, context: Context) -> AsyncIterator[pb.FetchAudioResponse]:
        """The file, chunk by chunk."""
        config = self._accounts.config(current_tenant())
        audio = config.get(Audio, request.audio_id) if config is not None else None
        if audio is None:
            raise NotFound(f"audios/{request.audio_id}")
        try:
            data = await self._store.get(audio.wide_object if request.wide else audio.object)
        except ObjectNotFound as error:
            raise NotFound(f"the content of audios/{request.audio_id}") from error
        except ConnectionError as error:
            raise Unavailable("the object store is away; try again") from error
        for start in range(0, len(data), CHUNK_BYTES):
            yield pb.FetchAudioResponse(chunk=data[start : start + CHUNK_BYTES])


def add_audio_service(
    server: GrpcServer, control: CallControl, studio: Studio, recorded: Recorded, store: ObjectStore, directory: grpc.aio.Channel | None
) -> None:
    """Serve it; `directory` None: what is uploaded is refused. `recorded`: what a call of the studio has recorded."""
    recorder = RecordByPhone(control, studio, recorded)
    api = AudioApi(control, AudioImporter(store), AudioRegister(directory), store, recorder)
    server.add(add_AudioServiceServicer_to_server, api, AUDIO, AUDIO_RIGHTS)


def check_particulars(particulars: pb.AudioParticulars) -> None:
    """Raises InvalidArgument."""
    if not particulars.audio_id:
        raise InvalidArgument({"particulars.audio_id": "is needed"})
    if not particulars.right_to_broadcast:
        raise InvalidArgument({"particulars.right_to_broadcast": "must be confirmed"})


def caller_of(context: Context, tenant: str) -> list[tuple[str, str]]:
    """The metadata by which another service of ours knows the caller: the same token, the same tenant."""
    given = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
    return [("authorization", given.get("authorization", "")), ("carillon-tenant", tenant)]


async def _received(requests: AsyncIterator[pb.UploadAudioRequest]) -> tuple[pb.AudioParticulars, bytes]:
    """Everything that was sent; raises InvalidArgument by name of what is wrong."""
    particulars: pb.AudioParticulars | None = None
    content = bytearray()
    async for request in requests:
        if request.WhichOneof("part") == "particulars":
            if particulars is not None:
                raise InvalidArgument({"particulars": "come once, first"})
            particulars = request.particulars
            check_particulars(particulars)
            continue
        if particulars is None:
            raise InvalidArgument({"particulars": "must come first"})
        content += request.chunk
        if len(content) > MAX_BYTES:
            raise InvalidArgument({"chunk": f"the file is larger than {MAX_BYTES >> 20} MB"})
    if particulars is None:
        raise InvalidArgument({"particulars": "are needed"})
    return particulars, bytes(content)
