"""`ConferenceInvitationService`: guests of conferences are invited, and reminded."""

from datetime import UTC, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from carillon.voicemail.v1 import conference_invitation_pb2 as pb
from carillon.voicemail.v1.conference_invitation_pb2_grpc import ConferenceInvitationServiceServicer
from carillon_contracts.config.values import Email
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import current_tenant
from carillon_voicemail.adapters.postgres_letters import PostgresLetters
from carillon_voicemail.domain.conference_invitation import Invitation, dial_in, letters
from carillon_voicemail.ports import Configurations, Wake

INVITATION_SERVICE = "carillon.voicemail.v1.ConferenceInvitationService"
INVITATION_RIGHTS = {"InviteToConference": frozenset({ADMIN, OPERATOR})}
MAX_EMAILS, MAX_MESSAGE, MAX_ID, MAX_PASSWORD = 100, 2000, 64, 32
MINUTES, MIN_MINUTES, MAX_MINUTES, MAX_REMINDER = 60, 5, 1440, 10_080
#: Nobody plans further ahead.
MAX_AHEAD = timedelta(days=366)
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


class InvitationApi(ConferenceInvitationServiceServicer):
    """`ConferenceInvitationService`."""

    def __init__(self, configurations: Configurations, kept: PostgresLetters, wake: Wake, sender: str, clock: Clock) -> None:
        self._configurations = configurations
        self._letters = kept
        self._wake = wake
        self._sender = sender
        self._clock = clock

    async def InviteToConference(self, request: pb.InviteToConferenceRequest, context: Any) -> pb.InviteToConferenceResponse:
        """All letters are kept, then sent."""
        tenant, now = current_tenant(), self._clock.now()
        config = self._configurations.of(tenant)
        room = config.conference_rooms.get(request.room_id)
        if request.room_id and room is None:
            raise NotFound(f"conference_rooms/{request.room_id}")
        starts_at = request.starts_at.ToDatetime(tzinfo=UTC) if request.HasField("starts_at") and _possible(request) else None
        wrong = {
            "invitation_id": "" if 0 < len(request.invitation_id) <= MAX_ID else f"1 to {MAX_ID} characters",
            "room_id": "" if room is not None else "needed",
            "emails": "" if 0 < len(request.emails) <= MAX_EMAILS else f"1 to {MAX_EMAILS}",
            "starts_at": "" if starts_at is not None and now < starts_at < now + MAX_AHEAD else "must be in the year to come",
            "duration_minutes": _between(request.duration_minutes or MINUTES, MIN_MINUTES, MAX_MINUTES),
            "message": "" if len(request.message) <= MAX_MESSAGE else f"at most {MAX_MESSAGE} characters",
            "participant_password": _digits(request.participant_password),
            "reminder_minutes": _between(request.reminder_minutes, 0, MAX_REMINDER),
        }
        wrong |= {f"emails[{n}]": "no e-mail address" for n, email in enumerate(request.emails[:MAX_EMAILS]) if not _is_email(email)}
        if starts_at is not None and room is not None and not wrong["starts_at"]:
            early, late = room.period_from, room.period_to
            if (early and starts_at < early) or (late and starts_at > late):
                wrong["starts_at"] = "not in the room's period"
        if wrong := {field: reason for field, reason in wrong.items() if reason}:
            raise InvalidArgument(wrong)
        assert room is not None
        assert starts_at is not None
        invitation = Invitation(
            tenant=tenant,
            invitation_id=request.invitation_id,
            room_id=room.id,
            emails=tuple(request.emails),
            starts_at=starts_at,
            duration=timedelta(minutes=request.duration_minutes or MINUTES),
            message=request.message,
            password=request.participant_password,
            reminder=timedelta(minutes=request.reminder_minutes) if request.reminder_minutes else None,
        )
        invited = 0
        for letter in letters(invitation, room, config, self._sender, now):
            new = await self._letters.take(letter.letter_id, tenant, letter.content, now, due=letter.due)
            invited += new and not letter.reminds
        self._wake()
        return pb.InviteToConferenceResponse(invited=invited, dial_in=dial_in(room, config))


def _possible(request: pb.InviteToConferenceRequest) -> bool:
    """Whether the timestamp is one that a calendar has."""
    return 0 <= request.starts_at.seconds < 253_402_300_800 and 0 <= request.starts_at.nanos < 10**9


def _between(value: int, least: int, most: int) -> str:
    return "" if least <= value <= most else f"{least} to {most}"


def _digits(password: str) -> str:
    return "" if not password or (password.isascii() and password.isdecimal() and len(password) <= MAX_PASSWORD) else "digits only"


def _is_email(value: str) -> bool:
    try:
        _EMAIL.validate_python(value)
    except ValidationError:
        return False
    return value.isascii()
