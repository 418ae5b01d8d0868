"""`carillon conferences`: rooms that are in use and who is in them; `--record`, `--lock`, `--close` and their like change one."""

import argparse
import asyncio
import json
from collections.abc import Awaitable

from carillon.media.v1 import conference_pb2 as pb
from carillon.media.v1.conference_pb2_grpc import ConferenceServiceStub
from carillon_cli.render.tables import message_json, table
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments

#: What can be done with a room.
ACTIONS = {
    "record": "record this room from now on; who is in it is told so",
    "stop-recording": "end the recording of this room",
    "lock": "let nobody but creators into this room any more",
    "unlock": "let everybody in again",
    "close": "put everybody out of this room",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon conferences`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    what = parser.add_mutually_exclusive_group()
    for name, text in ACTIONS.items():
        what.add_argument(f"--{name}", metavar="ROOM", default="", help=text)
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the rooms, or change one."""
    system = load(options.data)
    tenant = system.tenant(options.tenant)
    for name in ACTIONS:
        if room_id := getattr(options, name.replace("-", "_")):
            asyncio.run(act(system, tenant, name, room_id))
            return 0
    rooms = asyncio.run(conferences(system, tenant))
    for line in [json.dumps(message_json(room), ensure_ascii=False) for room in rooms] if options.json else rooms_table(rooms):
        print(line)
    return 0


def rooms_table(rooms: list[pb.Conference]) -> list[str]:
    """A line for each party."""
    rows = [
        (
            room.room_id,
            " ".join(word for word, true in (("locked", room.locked), ("recorded", room.recorded)) if true),
            party.name,
            party.number,
            " ".join(word for word, true in (("creator", party.creator), ("muted", party.muted), ("talks", party.talking)) if true),
            party.call_id,
        )
        for room in rooms
        for party in room.parties
    ]
    return table(("room", "state", "party", "number", "is", "call"), rows) if rows else []


async def conferences(system: System, tenant: str) -> list[pb.Conference]:
    """The tenant's rooms that are in use."""
    async with system.channel("media", tenant) as media:
        answer = await ask(ConferenceServiceStub(media).ListConferences(pb.ListConferencesRequest(), timeout=RPC_SECONDS), "media")
        return list(answer.conferences)


async def act(system: System, tenant: str, what: str, room_id: str) -> None:
    """One of `ACTIONS`."""
    async with system.channel("media", tenant) as media:
        service = ConferenceServiceStub(media)
        done: Awaitable[object]
        match what:
            case "record":
                done = service.StartConferenceRecording(pb.StartConferenceRecordingRequest(room_id=room_id), timeout=RPC_SECONDS)
            case "stop-recording":
                done = service.StopConferenceRecording(pb.StopConferenceRecordingRequest(room_id=room_id), timeout=RPC_SECONDS)
            case "close":
                done = service.CloseConference(pb.CloseConferenceRequest(room_id=room_id), timeout=RPC_SECONDS)
            case _:
                locked = what == "lock"
                done = service.LockConference(pb.LockConferenceRequest(room_id=room_id, locked=locked), timeout=RPC_SECONDS)
        await ask(done, "media")
