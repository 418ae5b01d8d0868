"""`carillon invite ROOM EMAIL...`: invite guests to a conference by e-mail, with a calendar file and a reminder."""

import argparse
import asyncio
from datetime import datetime
from uuid import uuid4

from carillon.voicemail.v1 import conference_invitation_pb2 as pb
from carillon.voicemail.v1.conference_invitation_pb2_grpc import ConferenceInvitationServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon invite`."""
    parser.add_argument("room", metavar="ROOM", help="conference room, by id")
    parser.add_argument("emails", metavar="EMAIL", nargs="+")
    parser.add_argument("--at", required=True, metavar="TIME", help="2026-11-24T10:00 (this machine's zone) or 2026-11-24T10:00+01:00")
    parser.add_argument("--minutes", type=int, default=0, help="how long it is to last (default: 60)")
    parser.add_argument("--message", default="", help="what else to say")
    parser.add_argument("--password", default="", help="the participants' password, to be put into the e-mail")
    parser.add_argument("--reminder", type=int, default=0, metavar="MINUTES", help="remind everybody that long before it begins")
    parser.add_argument("--id", default="", help="that of an invitation made before, to invite more guests to it")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Send them and say how many."""
    system = load(options.data)
    request = pb.InviteToConferenceRequest(
        invitation_id=options.id or str(uuid4()),
        room_id=options.room,
        emails=options.emails,
        duration_minutes=options.minutes,
        message=options.message,
        participant_password=options.password,
        reminder_minutes=options.reminder,
    )
    try:
        request.starts_at.FromDatetime(datetime.fromisoformat(options.at).astimezone())
    except (ValueError, OverflowError) as error:
        raise CliError(f"{options.at!r} is no time", "Write it as 2026-11-24T10:00.") from error
    answer = asyncio.run(invite(system, system.tenant(options.tenant), request))
    dial = ", ".join(answer.dial_in) or "nothing (no number leads there)"
    print(f"invitation {request.invitation_id}: {answer.invited} invited, dial {dial}")
    return 0


async def invite(system: System, tenant: str, request: pb.InviteToConferenceRequest) -> pb.InviteToConferenceResponse:
    """What was done."""
    async with system.channel("voicemail", tenant) as voicemail:
        service = ConferenceInvitationServiceStub(voicemail)
        return await ask(service.InviteToConference(request, timeout=RPC_SECONDS), "voicemail")
