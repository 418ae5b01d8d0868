import pytest

from carillon_cli.render.explain import explain, step_text
from carillon_contracts.call import CallStarted, LegOffered, RoutingDecided, TraceLine

pytestmark = pytest.mark.feature("P-6")


def test_each_decision_tells_its_conditions_its_version_and_its_step(call) -> None:  # type: ignore[no-untyped-def]
    lines = explain(
        call(
            (0.0, "a", CallStarted(direction="inbound", caller="+41791112233", dialled="+41215550100", trunk_id="carrier")),
            (
                0.01,
                None,
                RoutingDecided(
                    application="routing",
                    step="ring",
                    details={"targets": [{"target_id": "1", "user_id": "dumas", "stop_after_ms": 20000}]},
                    trace=(
                        TraceLine(subject="number +41215550100", matched=True, reason="belongs to plan main", next="plan/main"),
                        TraceLine(subject="calendar/holidays", matched=False, reason="2026-11-24 is no holiday"),
                    ),
                ),
            ),
            (0.02, "b1", LegOffered(party="dumas", number="101")),
            configseq=14,
        )
    )
    text = "\n".join(lines)
    assert "1. routing decides after 0.010 s (configuration 14)" in text
    assert "+ number +41215550100  belongs to plan main  -> plan/main" in text
    assert "- calendar/holidays    2026-11-24 is no holiday" in text
    assert "=> ring dumas from 0 s to 20 s" in text
    assert "leg b1 is offered to dumas (101)" in text


def test_events_are_told_by_seq_whatever_order_they_come_in(call) -> None:  # type: ignore[no-untyped-def]
    events = call(
        (0.0, "a", CallStarted(direction="from_user", caller="101", dialled="102")),
        (0.5, "b1", LegOffered(party="meier")),
    )
    assert explain(events[::-1]) == explain(events)


def test_nothing_to_explain_is_an_error() -> None:
    with pytest.raises(ValueError, match="no events"):
        explain([])


@pytest.mark.parametrize(
    ("step", "details", "text"),
    [
        ("ring", {"targets": [{"trunk": {"trunk_id": "carrier", "number": "+41791234567"}}]}, "ring +41791234567 by carrier from 0 s on"),
        ("play", {"prompts": [{"speech": {"text": "Bonjour"}}, {"beep": True}]}, "play “Bonjour” beep"),
        ("gather", {"prompts": [{"silence_ms": 200}], "max_digits": 1}, "play 200 ms silence and wait for 1 digit(s)"),
        ("record", {"max_ms": 60000, "labels": {"mailbox_id": "main"}}, "record at most 60 s (mailbox_id=main)"),
        ("delegate", {"application": "voicemail", "arguments": {"mailbox_id": "main"}}, "hand over to voicemail with mailbox_id=main"),
        ("hang_up", {"cause": 17, "sip_status": 486}, "hang up, cause 17, SIP 486"),
        ("dance", {}, "dance"),
    ],
)
def test_steps_in_words(step: str, details: dict[str, object], text: str) -> None:
    assert step_text(step, details) == text
