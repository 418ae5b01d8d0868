"""`carillon calls`: what is up now; `--hang-up` ends a call, `--record` and the like record it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping

from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1 import call_control_pb2_grpc, media_pb2, media_pb2_grpc
from carillon_cli.render.tables import calls_table, message_json
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments

WATCH_SECONDS = 1.0
#: What can be done about the recording of a call.
RECORDING = {
    "record": "record this talk (see --sides, --tone)",
    "stop-recording": "end the recordings of this call",
    "pause-recording": "leave out what is said in this call from now on",
    "resume-recording": "go on with a recording that was paused",
}
SIDES: Mapping[str, pb.RecordingSides.ValueType] = {
    "each": pb.RECORDING_SIDES_EACH,
    "mix": pb.RECORDING_SIDES_MIX,
    "stereo": pb.RECORDING_SIDES_STEREO,
    "caller": pb.RECORDING_SIDES_CALLER,
    "called": pb.RECORDING_SIDES_CALLED,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon calls`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")
    what.add_argument("--hang-up", metavar="ID", default="", help="end this call")
    for name, text in RECORDING.items():
        what.add_argument(f"--{name}", metavar="ID", default="", help=text)
    parser.add_argument("--sides", choices=SIDES, default="each", help="what --record records; each: a file for each side")
    parser.add_argument("--tone", action="store_true", help="both sides hear a tone now and then while --record records")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the live calls once, or again and again; or end one."""
    system = load(options.data)
    if options.hang_up:
        asyncio.run(hang_up(system, system.tenant(options.tenant), options.hang_up))
        return 0
    for name in RECORDING:
        if call_id := getattr(options, name.replace("-", "_")):
            asyncio.run(record(system, system.tenant(options.tenant), name, call_id, sides=SIDES[options.sides], tone=options.tone))
            return 0
    asyncio.run(_watch(system, system.tenant(options.tenant), as_json=options.json, endless=options.watch))
    return 0


async def _watch(system: System, tenant: str, *, as_json: bool, endless: bool) -> None:
    while True:
        calls = await live_calls(system, tenant)
        lines = [json.dumps(message_json(call), ensure_ascii=False) for call in calls] if as_json else calls_table(calls)
        # ECMA-48: home, erase to the end of the screen.
        if lines:
            print(("\x1b[H\x1b[J" if endless and not as_json else "") + "\n".join(lines), flush=True)
        if not endless:
            return
        await asyncio.sleep(WATCH_SECONDS)


async def hang_up(system: System, tenant: str, call_id: str) -> None:
    """End a call."""
    async with system.channel("media", tenant) as media:
        service = call_control_pb2_grpc.CallControlServiceStub(media)
        await ask(service.HangUpCall(pb.HangUpCallRequest(call_id=call_id), timeout=RPC_SECONDS), "media")


async def record(
    system: System,
    tenant: str,
    what: str,
    call_id: str,
    *,
    sides: pb.RecordingSides.ValueType = pb.RECORDING_SIDES_EACH,
    tone: bool = False,
) -> None:
    """Begin, end, pause or go on."""
    async with system.channel("media", tenant) as media:
        service = call_control_pb2_grpc.CallControlServiceStub(media)
        match what:
            case "record":
                wanted = pb.StartRecordingRequest(call_id=call_id, sides=sides, tone=tone)
                await ask(service.StartRecording(wanted, timeout=RPC_SECONDS), "media")
            case "stop-recording":
                await ask(service.StopRecording(pb.StopRecordingRequest(call_id=call_id), timeout=RPC_SECONDS), "media")
            case "pause-recording":
                await ask(service.PauseRecording(pb.PauseRecordingRequest(call_id=call_id), timeout=RPC_SECONDS), "media")
            case _:
                await ask(service.ResumeRecording(pb.ResumeRecordingRequest(call_id=call_id), timeout=RPC_SECONDS), "media")


async def live_calls(system: System, tenant: str) -> list[media_pb2.LiveCall]:
    """The tenant's calls that are up or being set up."""
    async with system.channel("media", tenant) as media:
        service = media_pb2_grpc.LiveCallServiceStub(media)
        answer = await ask(service.ListLiveCalls(media_pb2.ListLiveCallsRequest(), timeout=RPC_SECONDS), "media")
        for node in answer.silent_nodes:
            print(f"node {node} does not answer: its calls are not listed", file=sys.stderr)
        return list(answer.calls)
