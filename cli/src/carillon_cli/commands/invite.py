"""`carillon invite ROOM EMAIL...`: invite guests to a conference by e-mail, with a calendar file and a reminder; with the `--id` of an
invitation and another time all of its guests are told. `--list` and `--cancel ID`: invitations that were made, and taking one back."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from carillon.voicemail.v1 import conference_invitation_pb2 as pb
from carillon.voicemail.v1.conference_invitation_pb2_grpc import ConferenceInvitationServiceStub
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System, ask, load, system_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon invite`."""
    parser.add_argument("room", metavar="ROOM", nargs="?", default="", help="conference room, by id")
    parser.add_argument("emails", metavar="EMAIL", nargs="*")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="invitations (to ROOM) that are not over")
    what.add_argument("--cancel", metavar="ID", default="", help="tell all guests that the conference does not take place")
    what.add_argument("--at", default="", metavar="TIME", help="2026-11-24T10:00 (this machine's zone) or 2026-11-24T10:00+01:00")
    parser.add_argument("--minutes", type=int, default=0, help="how long it is to last (default: 60)")
    parser.add_argument("--message", default="", help="what else to say")
    parser.add_argument("--password", default="", help="the participants' password, to be put into the e-mail")
    parser.add_argument("--reminder", type=int, default=0, metavar="MINUTES", help="remind everybody that long before it begins")
    parser.add_argument("--id", default="", help="that of an invitation made before, to invite more guests to it or change its time")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Send them and say how many."""
    system = load(options.data)
    if options.list:
        for each in asyncio.run(invitations(system, system.tenant(options.tenant), options.room)):
            begins, ends = (moment.ToDatetime(tzinfo=UTC).astimezone() for moment in (each.starts_at, each.ends_at))
            print(f"{each.invitation_id}  {each.room_id}  {begins:%Y-%m-%d %H:%M} to {ends:%H:%M}  {', '.join(each.emails)}")
        return 0
    if options.cancel:
        told = asyncio.run(cancel(system, system.tenant(options.tenant), options.cancel, options.message))
        print(f"invitation {options.cancel}: {told} told that it does not take place")
        return 0
    if not options.room or not options.emails:
        raise CliError("an invitation needs ROOM and EMAIL")
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
    moved = f", {answer.moved} told of the new time" if answer.moved else ""
    print(f"invitation {request.invitation_id}: {answer.invited} invited{moved}, dial {dial}")
    return 0


async def invitations(system: System, tenant: str, room_id: str) -> Sequence[pb.Invitation]:
    """Those that are not over."""
    async with system.channel("voicemail", tenant) as voicemail:
        service = ConferenceInvitationServiceStub(voicemail)
        answer = await ask(service.ListInvitations(pb.ListInvitationsRequest(room_id=room_id), timeout=RPC_SECONDS), "voicemail")
        return answer.invitations


async def cancel(system: System, tenant: str, invitation_id: str, message: str) -> int:
    """How many were told."""
    request = pb.CancelInvitationRequest(invitation_id=invitation_id, message=message)
    async with system.channel("voicemail", tenant) as voicemail:
        service = ConferenceInvitationServiceStub(voicemail)
        return (await ask(service.CancelInvitation(request, timeout=RPC_SECONDS), "voicemail")).cancelled


async def invite(system: System, tenant: str, request: pb.InviteToConferenceRequest) -> pb.InviteToConferenceResponse:
    """What was done."""
    async with system.channel("voicemail", tenant) as voicemail:
        service = ConferenceInvitationServiceStub(voicemail)
        return await ask(service.InviteToConference(request, timeout=RPC_SECONDS), "voicemail")
