"""`carillon recordings`: recordings of calls; `--save` keeps one as a WAV file, `--delete` deletes one for good."""

import argparse
import asyncio
import json
from datetime import UTC
from pathlib import Path

from carillon.cdr.v1 import recording_pb2, recording_pb2_grpc
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments

PAGE = 200
#: Two hours of 16 bit stereo at 16 kHz are below this.
MAX_AUDIO = 512 * 1024 * 1024
FETCH_SECONDS = 120.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon recordings`."""
    parser.add_argument("call", nargs="?", default="", help="call id, with calls that it was joined with; default: all of the tenant")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", nargs=2, metavar=("RECORDING_ID", "FILE"), help="save the audio of a recording as a WAV file")
    parser.add_argument("--delete", metavar="RECORDING_ID", help="delete a recording for good; the audit says who did it")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List recordings, save or delete one."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    if options.save:
        recording_id, path = options.save
        audio = asyncio.run(fetch(system, tenant, recording_id))
        try:
            Path(path).write_bytes(audio)
        except OSError as error:
            raise CliError(f"{path} cannot be written: {error}") from error
        print(f"{path}: {len(audio)} bytes")
    elif options.delete:
        asyncio.run(delete(system, tenant, options.delete))
        print(f"{options.delete} is deleted")
    else:
        for recording in asyncio.run(list_recordings(system, tenant, options.call)):
            print(json.dumps(as_json(recording), ensure_ascii=False) if options.json else line(recording))
    return 0


def as_json(recording: recording_pb2.Recording) -> dict[str, object]:
    """For programs."""
    return {
        "recording_id": recording.recording_id,
        "call_id": recording.call_id,
        "leg_id": recording.leg_id,
        "started_at": recording.started_at.ToDatetime(tzinfo=UTC).isoformat(),
        "duration_ms": recording.duration_ms,
        "bytes": recording.bytes,
        "expires_at": recording.expires_at.ToDatetime(tzinfo=UTC).isoformat(),
        "labels": dict(recording.labels),
    }


def line(recording: recording_pb2.Recording) -> str:
    """For people."""
    begun, gone = (each.ToDatetime(tzinfo=UTC) for each in (recording.started_at, recording.expires_at))
    leg, call = recording.leg_id or "both", f"{recording.call_id} part {recording.labels.get('part', '1')}"
    seconds = recording.duration_ms / 1000
    return f"{recording.recording_id}  {begun:%Y-%m-%d %H:%M:%S}  {seconds:7.1f} s  {leg:4}  until {gone:%Y-%m-%d}  {call}"


async def list_recordings(system: System, tenant: str, call_id: str = "", user_id: str = "") -> list[recording_pb2.Recording]:
    """All recordings of a call, of what a user had part in, or of the tenant, newest first."""
    request = recording_pb2.ListRecordingsRequest(call_id=call_id, user_id=user_id, page_size=PAGE)
    async with system.channel("cdr", tenant) as cdr:
        service = recording_pb2_grpc.RecordingServiceStub(cdr)
        return [each async for page in pages(service.ListRecordings, request, "cdr") for each in page.recordings]


async def fetch(system: System, tenant: str, recording_id: str) -> bytes:
    """The WAV file of a recording. Raises `CliError` when it is larger than any recording can be."""
    audio = bytearray()
    async with system.channel("cdr", tenant) as cdr:
        service = recording_pb2_grpc.RecordingServiceStub(cdr)
        stream = service.FetchRecording(recording_pb2.FetchRecordingRequest(recording_id=recording_id), timeout=FETCH_SECONDS)

        async def take() -> None:
            async for part in stream:
                audio.extend(part.chunk)
                if len(audio) > MAX_AUDIO:
                    raise CliError(f"recording {recording_id} is larger than {MAX_AUDIO} bytes")

        await ask(take(), "cdr")
    return bytes(audio)


async def delete(system: System, tenant: str, recording_id: str) -> None:
    """For good."""
    async with system.channel("cdr", tenant) as cdr:
        service = recording_pb2_grpc.RecordingServiceStub(cdr)
        request = recording_pb2.DeleteRecordingRequest(recording_id=recording_id, reason="carillon recordings --delete")
        await ask(service.DeleteRecording(request, timeout=RPC_SECONDS), "cdr")
