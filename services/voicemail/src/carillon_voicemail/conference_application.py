"""The dialogue at the door of a conference room, as media asks for it."""

from typing import Any

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument
from carillon_voicemail.adapters.conference_door import ConferenceDoor
from carillon_voicemail.domain import conference
from carillon_voicemail.domain.conference import Caller, Cursor, Decision
from carillon_voicemail.ports import Configurations

ARGUMENT = "conference_room_id"
FIRST_DIGIT_MS, INTER_DIGIT_MS = 8000, 5000
_RESULTS = {
    pb.CONFERENCE_RESULT_LEFT: "left",
    pb.CONFERENCE_RESULT_KICKED: "kicked",
    pb.CONFERENCE_RESULT_CLOSED: "closed",
    pb.CONFERENCE_RESULT_FULL: "full",
    pb.CONFERENCE_RESULT_LOCKED: "locked",
}


class ConferenceApplication:
    """Answers what is asked of a conference's dialogue."""

    def __init__(self, configurations: Configurations, door: ConferenceDoor, clock: Clock) -> None:
        self._configurations = configurations
        self._door = door
        self._clock = clock

    @staticmethod
    def cursor_of(request: pb.NextRequest) -> Cursor | None:
        """The cursor if it is of this dialogue. Raises InvalidArgument."""
        try:
            return conference.cursor_of(request.cursor)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument({"cursor": "not a cursor of this application"}) from error

    async def next(self, request: pb.NextRequest, cursor: Cursor | None) -> pb.NextResponse:
        """The next step. Raises StoreUnavailable: media asks again, then apologises."""
        decision = await self._decide(request, cursor)
        return pb.NextResponse(
            step=step_of(decision),
            cursor=decision.cursor.to_bytes(),
            trace=[pb.TraceEntry(subject=decision.subject, matched=decision.matched, reason=decision.reason)],
            config_seq=decision.cursor.config_seq,
        )

    async def _decide(self, request: pb.NextRequest, cursor: Cursor | None) -> Decision:
        call, outcome = request.call, request.outcome
        caller = Caller(call.caller_number, call.caller_name, call.caller_user_id)
        config = self._configurations.of(call.tenant_id)
        if cursor is None:
            return conference.begin(caller, dict(outcome.entered.arguments), config, self._clock.now())
        match outcome.WhichOneof("kind"), cursor.state:
            case "gather", "asking":
                room = config.conference_rooms.get(cursor.room_id)
                digits = outcome.gather.digits
                verdict = await self._door.look(call.tenant_id, room, call.caller_number, digits) if room is not None else ""
                return conference.typed(caller, cursor, config, digits, verdict)
            case "play", "warned" | "warned_creator":
                return conference.warned(caller, cursor, config)
            case "conference", "inside":
                return conference.came_out(cursor, _RESULTS.get(outcome.conference.result, "failed"))
            case _:
                return conference.goodbye(cursor)


def step_of(decision: Decision) -> pb.Step:
    """The contract's step."""
    language = decision.cursor.language
    match decision.step:
        case conference.Say(text):
            return pb.Step(play=pb.Play(prompts=[_speech(text, language)]))
        case conference.Ask(text):
            gather = pb.Gather(
                prompts=[_speech(text, language)],
                max_digits=conference.MAX_DIGITS,
                finish_digits=conference.FINISH,
                first_digit_timeout_ms=FIRST_DIGIT_MS,
                inter_digit_timeout_ms=INTER_DIGIT_MS,
                secret=True,
            )
            return pb.Step(gather=gather)
        case conference.Enter() as enter:
            return pb.Step(conference=_entered(enter))
        case conference.HangUp():
            return pb.Step(hang_up=pb.HangUp(cause=16, reason="the conference is over for this caller"))


def _entered(enter: conference.Enter) -> pb.Conference:
    room = enter.room
    return pb.Conference(
        room_id=room.id,
        display_name=room.display_name or room.id,
        creator=enter.creator,
        party_name=enter.party_name,
        language=enter.language,
        announcement="" if room.announcement == "none" else room.announcement,
        record=room.recording,
        max_parties=room.max_parties,
        music_id=room.music_id,
        wait_for_creator=enter.waits,
    )


def _speech(text: str, language: str) -> pb.Prompt:
    return pb.Prompt(speech=pb.Speech(text=text, language=language))


def is_for(request: Any) -> bool:
    """Whether a first question is one of a conference."""
    return not request.cursor and ARGUMENT in request.outcome.entered.arguments
