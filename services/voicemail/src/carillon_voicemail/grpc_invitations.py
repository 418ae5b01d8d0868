"""`ConferenceInvitationService`: guests of conferences are invited, and reminded."""

from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from carillon.voicemail.v1 import conference_invitation_pb2 as pb
from carillon.voicemail.v1.conference_invitation_pb2_grpc import ConferenceInvitationServiceServicer
from carillon_contracts.config.values import Email
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_voicemail.adapters.postgres_invitations import PostgresInvitations
from carillon_voicemail.domain.conference_invitation import Invitation, LetterKind, dial_in
from carillon_voicemail.domain.kept_invitation import Change, KeptInvitation, Refused, cancel, invite
from carillon_voicemail.ports import Configurations, StoreUnavailable, Wake

INVITATION_SERVICE = "carillon.voicemail.v1.ConferenceInvitationService"
INVITATION_RIGHTS = dict.fromkeys(("InviteToConference", "CancelInvitation", "ListInvitations"), frozenset({ADMIN, OPERATOR}))
MAX_LISTED = 200
MAX_EMAILS, MAX_MESSAGE, MAX_ID, MAX_PASSWORD = 100, 2000, 64, 32
MINUTES, MIN_MINUTES, MAX_MINUTES, MAX_REMINDER = 60, 5, 1440, 10_080
#: Nobody plans further ahead.
MAX_AHEAD = timedelta(days=366)
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


class InvitationApi(ConferenceInvitationServiceServicer):
    """`ConferenceInvitationService`."""

    def __init__(self, configurations: Configurations, kept: PostgresInvitations, wake: Wake, sender: str, clock: Clock) -> None:
        self._configurations = configurations
        self._kept = kept
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
            "invitation_id": _id(request.invitation_id),
            "room_id": "" if room is not None else "needed",
            "emails": "" if 0 < len(request.emails) <= MAX_EMAILS else f"1 to {MAX_EMAILS}",
            "starts_at": "" if starts_at is not None and now < starts_at < now + MAX_AHEAD else "must be in the year to come",
            "duration_minutes": _between(request.duration_minutes or MINUTES, MIN_MINUTES, MAX_MINUTES),
            "message": _text(request.message),
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
        counts = await self._change(
            tenant, invitation.invitation_id, lambda kept: invite(kept, invitation, room, config, self._sender, now)
        )
        invited, moved = counts.get("invitation", 0), counts.get("moved", 0)
        return pb.InviteToConferenceResponse(invited=invited, moved=moved, dial_in=dial_in(room, config))

    async def CancelInvitation(self, request: pb.CancelInvitationRequest, context: Any) -> pb.CancelInvitationResponse:
        """Every guest is told."""
        tenant, now = current_tenant(), self._clock.now()
        wrong = {
            "invitation_id": _id(request.invitation_id),
            "message": _text(request.message),
        }
        if wrong := {field: reason for field, reason in wrong.items() if reason}:
            raise InvalidArgument(wrong)

        def decide(kept: KeptInvitation | None) -> Change:
            if kept is None or kept.ends_at <= now:
                raise NotFound(f"invitations/{request.invitation_id}")
            return cancel(kept, self._configurations.of(tenant), now, request.message)

        counts = await self._change(tenant, request.invitation_id, decide)
        return pb.CancelInvitationResponse(cancelled=counts.get("cancelled", 0))

    async def ListInvitations(self, request: pb.ListInvitationsRequest, context: Any) -> pb.ListInvitationsResponse:
        """Those that are not over and not taken back."""
        if len(request.room_id) > MAX_ID or not request.room_id.isprintable():
            raise InvalidArgument({"room_id": "not a room's id"})
        try:
            found = await self._kept.upcoming(self._clock.now(), current_tenant(), request.room_id, limit=MAX_LISTED)
        except StoreUnavailable as away:
            raise Unavailable(str(away)) from away
        return pb.ListInvitationsResponse(invitations=map(message, found))

    async def _change(self, tenant: str, invitation_id: str, decide: Callable[[KeptInvitation | None], Change]) -> Mapping[LetterKind, int]:
        try:
            counts = await self._kept.change(tenant, invitation_id, self._clock.now(), decide)
        except Refused as refused:
            raise InvalidArgument({refused.field: refused.reason}) from refused
        except StoreUnavailable as away:
            raise Unavailable(str(away)) from away
        self._wake()
        return counts


def message(kept: KeptInvitation) -> pb.Invitation:
    """As the API shows it."""
    made = pb.Invitation(invitation_id=kept.invitation_id, room_id=kept.room_id, emails=kept.emails)
    made.starts_at.FromDatetime(kept.starts_at.astimezone(UTC).replace(tzinfo=None))
    made.ends_at.FromDatetime(kept.ends_at.astimezone(UTC).replace(tzinfo=None))
    return made


def _possible(request: pb.InviteToConferenceRequest) -> bool:
    """Whether the timestamp is one that a calendar has."""
    return 0 <= request.starts_at.seconds < 253_402_300_800 and 0 <= request.starts_at.nanos < 10**9


def _id(value: str) -> str:
    return "" if 0 < len(value) <= MAX_ID and value.isprintable() else f"1 to {MAX_ID} printable characters"


def _text(value: str) -> str:
    return "" if len(value) <= MAX_MESSAGE and "\0" not in value else f"at most {MAX_MESSAGE} characters, none of them NUL"


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
