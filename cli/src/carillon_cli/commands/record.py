"""`carillon record AUDIO_ID USER`: a phone rings, who answers speaks an announcement after the tone, and keeps it by a key."""

import argparse
import asyncio

from carillon.media.v1 import audio_pb2 as pb
from carillon.media.v1.audio_pb2_grpc import AudioServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import System, ask, load, system_arguments

#: Longer than the longest ringing, speaking and hearing again.
CALL_SECONDS = 3600.0
#: What is printed as it goes.
TOLD = {
    pb.RECORD_BY_PHONE_STATE_CALLING: "calling",
    pb.RECORD_BY_PHONE_STATE_RINGING: "it rings",
    pb.RECORD_BY_PHONE_STATE_ANSWERED: "answered",
    pb.RECORD_BY_PHONE_STATE_RECORDING: "speak after the tone, then press #",
    pb.RECORD_BY_PHONE_STATE_RECORDED: "recorded: 1 keeps it, 2 plays it again, 3 records anew",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon record`."""
    parser.add_argument("audio", metavar="AUDIO_ID", help="the audio file that is made, or whose sound is replaced")
    parser.add_argument("user", metavar="USER", help="whose phones ring, by id")
    parser.add_argument("--number", default="", help="an extension or number that rings in their place, as this user may dial it")
    parser.add_argument("--name", default="", help="what the file is called")
    parser.add_argument("--language", default="", help="BCP 47; default: the tenant's")
    parser.add_argument("--music", action="store_true", help="it is music, not an announcement")
    parser.add_argument("--right-to-broadcast", action="store_true", help="confirm the right to broadcast what is recorded (needed)")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make the call and tell how it goes."""
    system = load(options.data)
    particulars = pb.AudioParticulars(
        audio_id=options.audio,
        display_name=options.name,
        language=options.language,
        music=options.music,
        right_to_broadcast=options.right_to_broadcast,
    )
    request = pb.RecordByPhoneRequest(particulars=particulars, user_id=options.user, number=options.number)
    audio = asyncio.run(record(system, system.tenant(options.tenant), request))
    print(f"{audio.audio_id} is kept: {audio.duration_ms / 1000:.1f} s")
    return 0


async def record(system: System, tenant: str, request: pb.RecordByPhoneRequest) -> pb.UploadAudioResponse:
    """What was kept. Raises `CliError` when nothing was."""
    async with system.channel("media", tenant) as media:
        call = AudioServiceStub(media).RecordByPhone(request, timeout=CALL_SECONDS)
        last = pb.RecordByPhoneResponse()

        async def follow() -> None:
            async for answer in call:
                last.CopyFrom(answer)
                if answer.state in TOLD:
                    print(TOLD[answer.state], flush=True)

        await ask(follow(), "media")
    if last.state != pb.RECORD_BY_PHONE_STATE_KEPT:
        raise CliError(f"nothing is kept: {last.reason}")
    return last.audio
