"""What is heard by who listens to messages, and what is done with them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_contracts.config import Extension, Mailbox, Resource, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain import listening
from carillon_voicemail.domain.listening_phrases import PHRASES
from carillon_voicemail.domain.listening_state import (
    Act,
    Cursor,
    Decision,
    DropGreeting,
    Facts,
    HashPin,
    KeepGreeting,
    Mark,
    SetPin,
    State,
    Verdict,
    cursor_of,
)
from carillon_voicemail.domain.message import Message, MessageState
from carillon_voicemail.domain.steps import (
    CallFacts,
    Dial,
    Entered,
    Gather,
    Gathered,
    HangUp,
    Other,
    Outcome,
    Play,
    Played,
    Record,
    Recorded,
    Speech,
    Spoken,
    Voice,
)

pytestmark = pytest.mark.feature("V-4")
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
EN = PHRASES["en"]
HASH = "$argon2id$v=19$m=16384,t=2,p=1$c2FsdHNhbHQ"
OWN = {"listen": "own", "mailbox_id": "main", "language": "en"}
ANNA = CallFacts("101", "Anna", "*97", "anna")
OUTSIDE = CallFacts("+41790000009", "", "+41215550100")
NEW, HEARD, SAVED, DELETED = MessageState


def config(**main: Any) -> TenantConfig:
    of_kind: dict[str, dict[str, Resource]] = {
        "tenant": {"dupont": Tenant(id="dupont", realm="dupont.example", language="fr", time_zone="Europe/Zurich")},
        "mailbox": {"main": Mailbox.model_validate({"id": "main", **main})},
        "user": {"anna": User(id="anna", last_name="A", mailbox_id="main"), "ben": User(id="ben", last_name="B")},
        "extension": {
            "101": Extension.model_validate({"id": "101", "destination": {"user_id": "anna"}}),
            "102": Extension.model_validate({"id": "102", "destination": {"user_id": "ben"}}),
            "103": Extension.model_validate({"id": "103", "destination": {"mailbox_id": "main"}}),
        },
    }
    return TenantConfig("dupont", 4, of_kind)


def message(number: int, state: MessageState = NEW, caller: str = "+41791234567", name: str = "") -> Message:
    at = datetime(2026, 3, 3, 9, 15, tzinfo=UTC) + timedelta(minutes=number)
    return Message(UUID(int=number), "dupont", "main", f"c{number}", 1, caller, name, at, 4000, f"sha256-{number:064x}", state=state)


class Talk:
    """One call: what is marked is marked, and each cursor goes over the wire."""

    def __init__(self, *messages: Message, call: CallFacts = ANNA, arguments: dict[str, str] = OWN, of: TenantConfig | None = None) -> None:
        self.config, self.call = of or config(), call
        self.messages: Sequence[Message] = messages
        self.acts: list[Act] = []
        self.well = True
        self.last = self._done(listening.begin(self._facts(), arguments, "en"))

    def _facts(self) -> Facts:
        return Facts(self.call, self.config, NOW, self.messages)

    def _done(self, decision: Decision) -> Decision:
        for act in decision.acts:
            self.acts.append(act)
            match act:
                case Mark(message_id, state):
                    self.messages = [replace(each, state=state) if each.message_id == message_id else each for each in self.messages]
                case HashPin(pin):
                    decision = replace(decision, cursor=replace(decision.cursor, pin_hash=f"hash of {pin}"))
                case _:
                    decision = listening.done(self._facts(), decision, well=self.well)
        assert cursor_of(decision.cursor.to_bytes()) == decision.cursor
        return decision

    def comes(self, outcome: Outcome, verdict: Verdict = "") -> "Talk":
        self.last = self._done(listening.go_on(self._facts(), self.last.cursor, outcome, verdict))
        return self

    def press(self, *digits: str) -> "Talk":
        for each in digits:
            self.comes(Gathered(each))
        return self

    @property
    def says(self) -> list[str]:
        step = self.last.step
        assert isinstance(step, Gather | Play), step
        return [each.text for each in step.prompts if isinstance(each, Speech)]

    @property
    def plays(self) -> int:
        """The number of the message that is heard; 0: none."""
        step = self.last.step
        assert isinstance(step, Gather), step
        return next((int(each.object.removeprefix("sha256-"), 16) for each in step.prompts if isinstance(each, Voice)), 0)

    @property
    def states(self) -> list[MessageState]:
        return [each.state for each in self.messages]


def test_who_listens_from_their_own_phone_is_told_how_many_there_are_and_asked_nothing() -> None:
    assert Talk().says == [EN.no_new, EN.main]
    assert Talk(message(1)).says == [EN.one_new, EN.listen, EN.main]
    many = Talk(message(1), message(2), message(3, HEARD), message(4, SAVED), message(5, DELETED))
    assert many.says == [EN.you_have, EN.new_messages, EN.old_messages, EN.listen, EN.main]
    step = many.last.step
    assert isinstance(step, Gather)
    assert [each.values for each in step.prompts if isinstance(each, Spoken)] == [(2,), (2,)]
    assert Talk(message(1, HEARD)).says == [EN.no_new, EN.one_old, EN.listen, EN.main]


def test_a_message_is_heard_with_its_date_in_the_tenants_zone_and_its_caller() -> None:
    talk = Talk(message(1)).press("1")
    assert talk.says == [EN.received, EN.from_, "4 1 7 9 1 2 3 4 5 6 7", EN.menu]
    step = talk.last.step
    assert isinstance(step, Gather)
    assert [(each.kind, each.values) for each in step.prompts if isinstance(each, Spoken)] == [("date", (0, 3, 3)), ("time", (10, 16))]
    assert talk.plays == 1
    assert talk.states == [HEARD]
    assert Talk(message(1, caller="102", name="Ben")).press("1").says[2] == "Ben"
    assert Talk(message(1, caller="")).press("1").says[2] == EN.withheld


def test_messages_are_gone_through_forth_and_back_and_to_the_end() -> None:
    talk = Talk(message(1), message(2))
    assert [talk.press(key).plays for key in "1141664"] == [1, 1, 1, 1, 2, 0, 0]
    assert talk.last.cursor.state is State.MAIN
    talk = Talk(message(1), message(2)).press("1")
    assert talk.press("4").says[0] == EN.none_before
    assert talk.press("", "").says[:2] == [EN.none_after, EN.no_new]
    assert talk.states == [HEARD, HEARD]


def test_a_message_is_saved_deleted_and_taken_back() -> None:
    talk = Talk(message(1), message(2)).press("1", "2")
    assert (talk.says[0], talk.plays, talk.states) == (EN.saved, 2, [SAVED, HEARD])
    assert talk.press("3").says == [EN.deleted, EN.menu]
    assert talk.states == [SAVED, DELETED]
    assert talk.press("3").says == [EN.restored, EN.menu]
    assert talk.states == [SAVED, HEARD]
    assert talk.press("3", "4").plays == 1
    assert talk.press("0").says == [EN.no_new, EN.one_old, EN.listen, EN.main]


def test_a_question_that_comes_again_after_it_was_obeyed_is_answered_as_before() -> None:
    for keys in (("1",), ("1", "6"), ("1", "2"), ("1", "3"), ("1", "3", "3"), ("1", "3", "4")):
        talk = Talk(message(1), message(2), message(3, HEARD)).press(*keys[:-1])
        before = talk.last
        first = talk.press(keys[-1]).last
        states, talk.last = talk.states, before
        again = talk.press(keys[-1]).last
        assert (again.step, again.cursor, talk.states) == (first.step, first.cursor, states), keys


def test_a_message_that_goes_meanwhile_is_passed_over() -> None:
    talk = Talk(message(1), message(2), message(3)).press("1")
    talk.messages = [each for each in talk.messages if each.message_id.int == 3]
    assert talk.press("6").plays == 3
    assert talk.says[0] == EN.gone


def test_calling_back_is_routings_and_from_a_users_phone_alone() -> None:
    assert Talk(message(1)).press("1", "5").last.step == Dial("+41791234567")
    assert Talk(message(1, caller="")).press("1", "5").says == [EN.not_returned, EN.menu]
    trusted = config(trusted_numbers=[OUTSIDE.caller_number])
    assert Talk(message(1), call=OUTSIDE, of=trusted, arguments={"mailbox_id": "main"}).press("1", "5").says == [EN.not_returned, EN.menu]


def test_who_dialled_another_box_calls_back_and_whom_a_user_sent_there_does_not() -> None:
    """A call that Ben transfers, or his phone deflects, comes in his name, whoever it is: what they dial is not at his cost."""
    box = Talk(message(1), arguments={"listen": "box", "box": "101", "language": "en"}, of=config(pin_hash=HASH))
    assert box.comes(Gathered("4712"), "right").press("1", "5").last.step == Dial("+41791234567")
    sent = Talk(message(1), call=CallFacts("102", "", "101", "ben"), of=config(pin_hash=HASH))
    sent.last = listening.ask_pin(Cursor(State.PIN, "main", "en"), "star during the greeting")
    assert sent.comes(Gathered("4712"), "right").says == [EN.one_new, EN.listen, EN.main]
    assert sent.press("1", "5").says == [EN.not_returned, EN.menu]


@pytest.mark.feature("V-5")
def test_a_box_that_always_asks_is_asked_for_its_pin_while_it_has_one() -> None:
    assert Talk(of=config(always_ask_pin=True)).last.cursor.state is State.MAIN
    talk = Talk(message(1), of=config(always_ask_pin=True, pin_hash=HASH))
    assert isinstance(talk.last.step, Gather)
    assert (talk.says, talk.last.step.secret) == ([EN.ask_pin], True)
    assert talk.comes(Gathered("4711"), "wrong").says == [EN.wrong, EN.ask_pin]
    assert talk.comes(Gathered("4712"), "right").says == [EN.one_new, EN.listen, EN.main]


@pytest.mark.feature("V-5")
def test_another_box_is_asked_for_by_extension_and_nobody_learns_which_there_are() -> None:
    there, nowhere = (Talk(arguments={"listen": "box", "box": box, "language": "en"}, of=config(pin_hash=HASH)) for box in ("101", "102"))
    assert there.says == nowhere.says == [EN.ask_pin]
    assert (there.last.cursor.mailbox_id, nowhere.last.cursor.mailbox_id) == ("main", "")
    asked = Talk(arguments={"listen": "box", "language": "en"}, of=config(pin_hash=HASH))
    assert asked.says == [EN.ask_box]
    assert asked.press("103").last.cursor.mailbox_id == "main"
    for _ in range(2):
        assert nowhere.comes(Gathered("1234"), "wrong").says == [EN.wrong, EN.ask_pin]
    assert nowhere.comes(Gathered("1234"), "wrong").says == [EN.wrong]
    assert isinstance(nowhere.comes(Played()).last.step, HangUp)
    assert there.comes(Gathered("1234"), "locked").says == [EN.locked]


def test_a_trusted_number_listens_and_others_leave_a_message() -> None:
    box = Mailbox(id="main", trusted_numbers=("+41790000009",))
    assert listening.trusts(box, OUTSIDE)
    assert not listening.trusts(box, replace(OUTSIDE, caller_number="+41790000008"))
    assert not listening.trusts(box, replace(OUTSIDE, user_id="anna"))
    assert not listening.trusts(Mailbox(id="main"), CallFacts())
    assert not listening.trusts(None, OUTSIDE)


def test_a_greeting_is_spoken_heard_and_kept() -> None:
    talk = Talk().press("2", "1")
    assert talk.says == [EN.speak]
    record = talk.press("").last.step
    assert isinstance(record, Record)
    assert record.labels == {"purpose": "mailbox_greeting", "mailbox_id": "main"}
    assert talk.comes(Recorded("")).says == [EN.nothing, EN.speak]
    talk.press("").comes(Recorded(f"sha256-{7:064x}"))
    assert (talk.plays, talk.says) == (7, [EN.keep])
    assert talk.press("2").plays == 7
    assert talk.press("3").says == [EN.speak]
    talk.press("").comes(Recorded(f"sha256-{8:064x}")).press("1")
    assert talk.acts == [KeepGreeting(f"sha256-{8:064x}")]
    assert talk.says[0] == EN.greeting_kept
    assert talk.press("2", "2").says[0] == EN.greeting_usual
    assert talk.acts[-1] == DropGreeting()


@pytest.mark.feature("V-5")
def test_a_pin_is_changed_when_it_was_typed_twice_and_is_in_no_cursor() -> None:
    talk = Talk().press("3")
    assert talk.press("12").says == [EN.pin_rule, EN.new_pin]
    assert talk.press("2718").says == [EN.pin_again]
    assert talk.comes(Gathered("2719"), "wrong").says == [EN.pin_differs, EN.new_pin]
    assert "2719" not in talk.last.cursor.to_bytes().decode()
    talk.press("2718").comes(Gathered("2718"), "right")
    assert talk.says[0] == EN.pin_kept
    assert talk.acts[-1] == SetPin("2718")
    talk.well = False
    assert talk.press("3", "2718").comes(Gathered("2718"), "right").says[0] == EN.not_now


def test_who_presses_nothing_is_told_goodbye() -> None:
    for arguments in (OWN, {"listen": "box", "language": "en"}):
        talk = Talk(message(1), arguments=arguments).press("", "9" if arguments is OWN else "", "")
        assert talk.says == ["Thank you. Goodbye."]
        assert isinstance(talk.comes(Played()).last.step, HangUp)
    assert Talk(message(1)).press("*").says == ["Thank you. Goodbye."]


def test_the_menus_are_in_the_language_that_is_asked_for_else_the_boxes() -> None:
    for language, known in PHRASES.items():
        assert Talk(arguments={**OWN, "language": language}).says[0] == known.no_new
    facts = Facts(ANNA, config(), NOW)
    step = listening.begin(facts, {"listen": "own", "mailbox_id": "main"}, "it").step
    assert isinstance(step, Gather)
    assert step.prompts[0] == Speech(PHRASES["it"].no_new, "it")
    gone = listening.begin(facts, {"listen": "own", "mailbox_id": "none"}, "en")
    assert gone.cursor.state is State.GOODBYE


_OUTCOMES = st.one_of(
    st.builds(Gathered, st.sampled_from(["", *"0123456789*#", "101", "2718"])),
    st.sampled_from([Played(), Recorded(""), Recorded(f"sha256-{9:064x}"), Other("ring"), Entered({})]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(State),
    st.integers(0, 3),
    st.lists(st.tuples(_OUTCOMES, st.sampled_from(["right", "wrong", "locked", ""])), max_size=12),
    st.lists(st.sampled_from(MessageState), max_size=3),
)
def test_whatever_comes_in_whatever_state_has_a_step(
    state: State, at: int, coming: list[tuple[Outcome, Verdict]], states: list[MessageState]
) -> None:
    talk = Talk(*(message(number, each) for number, each in enumerate(states, 1)))
    ids = tuple(str(each.message_id) for each in talk.messages)
    kept = f"sha256-{9:064x}" if state is State.KEEPING else ""
    talk.last = replace(talk.last, cursor=Cursor(state, "main", "en", messages=ids, at=min(at, len(ids)), object=kept))
    for outcome, verdict in coming:
        talk.comes(outcome, verdict)
        assert talk.last.trace.reason


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(MessageState), max_size=4))
def test_a_silent_caller_comes_to_an_end(states: list[MessageState]) -> None:
    talk = Talk(*(message(number, each) for number, each in enumerate(states, 1))).press("1")
    for _ in range(2 * len(states) + 8):
        if isinstance(talk.last.step, HangUp):
            return
        talk.comes(Gathered("") if isinstance(talk.last.step, Gather) else Played())
    pytest.fail("the dialogue does not end")
