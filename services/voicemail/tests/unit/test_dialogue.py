"""What a caller hears in a mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon.common.v1.call_application_pb2 import AudioFile
from carillon_contracts.config import Announcement, Mailbox, Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.dialogue import Cursor, State, advance
from carillon_voicemail.domain.phrases import PHRASES
from carillon_voicemail.domain.steps import (
    CallFacts,
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
    Voice,
)
from carillon_voicemail.step_messages import step_message

CALL = CallFacts("+41790000001", "Marie Curie", "+41215550100")
OWN = (Announcement(text="Bonjour, Dupont SA."), Announcement(text="Hello, Dupont SA.", language="en"))


def config(*mailboxes: Mailbox, language: str = "fr") -> TenantConfig:
    of_kind: dict[str, dict[str, Resource]] = {
        "tenant": {"dupont": Tenant(id="dupont", realm="dupont.example", language=language)},
        "mailbox": {mailbox.id: mailbox for mailbox in mailboxes},
    }
    return TenantConfig("dupont", 4, of_kind)


def heard(*outcomes: Outcome, of: TenantConfig) -> list[object]:
    cursor: Cursor | None = None
    steps: list[object] = []
    for outcome in outcomes:
        decision = advance(CALL, cursor, outcome, of)
        cursor = decision.cursor
        assert decision.trace
        steps.append(decision.step)
    return steps


def texts(step: Play | Gather) -> list[tuple[str, str]]:
    """What is spoken, and in which language."""
    return [(prompt.text, prompt.language) for prompt in step.prompts if isinstance(prompt, Speech)]


@pytest.mark.feature("V-1")
@pytest.mark.feature("V-2")
def test_a_caller_is_greeted_records_and_is_thanked() -> None:
    of = config(Mailbox(id="main", max_seconds=60, silence_seconds=3))
    greeting, record, goodbye, end = heard(Entered({"mailbox_id": "main"}), Played(), Recorded("sha256-00"), Played(), of=of)
    assert isinstance(greeting, Play)
    assert texts(greeting) == [(PHRASES["fr"].greeting, "fr")]
    assert isinstance(record, Record)
    assert (record.max_ms, record.silence_ms, record.finish_digits) == (60_000, 3_000, "#")
    assert dict(record.labels) == {
        "purpose": "voicemail",
        "mailbox_id": "main",
        "caller_number": "+41790000001",
        "caller_name": "Marie Curie",
        "dialled": "+41215550100",
    }
    assert isinstance(goodbye, Play)
    assert texts(goodbye)[0][0] == PHRASES["fr"].goodbye
    assert end == HangUp(16)


@pytest.mark.feature("V-1")
def test_a_greeting_may_be_a_file_of_the_tenant_s() -> None:
    own = (Announcement(audio_id="hello", text="Bonjour"),)
    (greeting,) = heard(Entered({"mailbox_id": "main"}), of=config(Mailbox(id="main", greeting=own)))
    assert isinstance(greeting, Play)
    step = step_message(greeting)
    assert [prompt.audio for prompt in step.play.prompts] == [AudioFile(audio_id="hello", text="Bonjour", language="fr")]


def test_an_own_greeting_replaces_the_standard_one_phrase_by_phrase() -> None:
    (greeting,) = heard(Entered({"mailbox_id": "main"}), of=config(Mailbox(id="main", greeting=OWN)))
    assert isinstance(greeting, Play)
    assert texts(greeting) == [(OWN[0].text, "fr"), (OWN[1].text, "en")]


@pytest.mark.parametrize("language", ["fr", "en", "de", "nl", "it"])
@pytest.mark.feature("R-17")
def test_the_standard_greeting_is_in_the_mailboxs_language(language: str) -> None:
    (greeting,) = heard(Entered({"mailbox_id": "main"}), of=config(Mailbox(id="main", language=language), language="en"))
    assert isinstance(greeting, Play)
    assert texts(greeting)[0][0] == PHRASES[language].greeting


def test_the_language_that_the_caller_chose_speaks_the_standard_phrases_only() -> None:
    entered = Entered({"mailbox_id": "main", "language": "de"})
    standard, _, goodbye = heard(entered, Played(), Recorded("x"), of=config(Mailbox(id="main")))
    assert isinstance(standard, Play)
    assert isinstance(goodbye, Play)
    assert [texts(standard)[0][0], texts(goodbye)[0][0]] == [PHRASES["de"].greeting, PHRASES["de"].goodbye]
    own, _, goodbye = heard(entered, Played(), Recorded("x"), of=config(Mailbox(id="main", greeting=OWN)))
    assert isinstance(own, Play)
    assert [language for _, language in texts(own)] == ["fr", "en"]
    (unsure,) = heard(Entered({"mailbox_id": "main", "language": "../etc"}), of=config(Mailbox(id="main")))
    assert isinstance(unsure, Play)
    assert texts(unsure)[0][1] == "fr"


def test_a_regional_language_is_kept_for_the_voice_and_an_unknown_one_is_answered_in_english() -> None:
    for language, text in (("fr-CH", PHRASES["fr"].greeting), ("pt", PHRASES["en"].greeting)):
        (greeting,) = heard(Entered({"mailbox_id": "main"}), of=config(Mailbox(id="main", language=language)))
        assert isinstance(greeting, Play)
        assert texts(greeting)[0] == (text, language)


@pytest.mark.parametrize("arguments", [{}, {"mailbox_id": "none"}])
def test_an_unknown_mailbox_apologises_and_hangs_up(arguments: dict[str, str]) -> None:
    apology, end = heard(Entered(arguments), Played(), of=config())
    assert isinstance(apology, Play)
    assert texts(apology)[0][0] == PHRASES["fr"].unknown_mailbox
    assert isinstance(end, HangUp)


def test_a_caller_who_said_nothing_is_told_so() -> None:
    goodbye = heard(Entered({"mailbox_id": "main"}), Played(), Recorded(""), of=config(Mailbox(id="main")))[-1]
    assert isinstance(goodbye, Play)
    assert texts(goodbye)[0][0] == PHRASES["fr"].nothing_recorded


@pytest.mark.feature("V-4")
def test_the_greeting_of_a_box_with_a_pin_listens_for_a_digit_and_any_other_one_goes_on_to_the_beep() -> None:
    of = config(Mailbox(id="main", pin_hash="$argon2id$v=19$m=16384,t=2,p=1$c2FsdHNhbHQ"))
    for digits in ("", "5", "#"):
        greeting, record = heard(Entered({"mailbox_id": "main"}), Gathered(digits), of=of)
        assert isinstance(greeting, Gather)
        assert texts(greeting) == [(PHRASES["fr"].greeting, "fr")]
        assert isinstance(record, Record)


@pytest.mark.feature("V-1")
def test_a_greeting_that_was_spoken_by_phone_replaces_every_other() -> None:
    for own in ((), OWN):
        step = advance(CALL, None, Entered({"mailbox_id": "main"}), config(Mailbox(id="main", greeting=own)), "sha256-00").step
        assert step == Play((Voice("sha256-00"),))


def test_a_mailbox_that_changes_during_a_call_does_not_change_the_call() -> None:
    first = advance(CALL, None, Entered({"mailbox_id": "main"}), config(Mailbox(id="main", max_seconds=60)))
    second = advance(CALL, first.cursor, Played(), config())
    assert isinstance(second.step, Record)
    assert second.step.max_ms == 60_000
    assert second.cursor.config_seq == 4


@given(
    st.sampled_from([None, *State]),
    st.sampled_from([Entered({"mailbox_id": "main"}), Played(), Recorded("x"), Recorded(""), Gathered("*"), Other("ring")]),
)
def test_every_outcome_in_every_state_has_a_step_and_an_end(state: State | None, outcome: Outcome) -> None:
    of = config(Mailbox(id="main"))
    cursor = None if state is None else Cursor(state, "main", "fr", 4, 180, 5)
    for _ in range(4):
        decision = advance(CALL, cursor, outcome, of)
        if isinstance(decision.step, HangUp):
            return
        cursor = decision.cursor
        outcome = Recorded("x") if isinstance(decision.step, Record) else Played()
    pytest.fail("the dialogue does not end")
