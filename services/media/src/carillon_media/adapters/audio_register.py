"""What is known of audio files, kept by the directory: written in the name of the person who asked, with that person's token."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio

from carillon.directory.v1 import audio_pb2 as pb
from carillon.directory.v1.audio_pb2_grpc import AudioServiceStub
from carillon_kit.errors import ApiError, Unavailable
from carillon_media.adapters.audio_files import Imported

SECONDS = 10.0
Metadata = Sequence[tuple[str, str]]


class DirectoryRefused(ApiError):
    """The directory did not take it; passed on as it said it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class AudioRegister:
    """The directory's `AudioService`; `channel` None: there is none."""

    def __init__(self, channel: grpc.aio.Channel | None) -> None:
        self._stub: Any = AudioServiceStub(channel) if channel is not None else None

    async def keep(self, audio: pb.Audio, imported: Imported, confirmed_by: str, caller: Metadata) -> None:
        """Make the resource, or replace the audio of the one that is there. Raises ApiError."""
        if self._stub is None:
            raise Unavailable("no directory is configured (CARILLON_DIRECTORY)")
        audio.object, audio.wide_object, audio.duration_ms = imported.object, imported.wide_object, imported.duration_ms
        audio.rights_confirmed_by = confirmed_by
        audio.rights_confirmed_at = datetime.now(UTC).isoformat()
        try:
            await self._stub.CreateAudio(pb.CreateAudioRequest(audio=audio), metadata=caller, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise _passed_on(error) from error
        else:
            return
        try:
            await self._stub.UpdateAudio(pb.UpdateAudioRequest(audio=audio), metadata=caller, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _passed_on(error) from error


def _passed_on(error: grpc.aio.AioRpcError) -> ApiError:
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable("the directory is away; try again")
    return DirectoryRefused(error.code(), error.details() or "the directory refused")
