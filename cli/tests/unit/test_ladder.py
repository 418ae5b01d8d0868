import pytest

from carillon_cli.render.ladder import TIME_WIDTH, WIDTH, ladder
from carillon_contracts.call import (
    CallBridged,
    CallControlled,
    CallEnded,
    CallStarted,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    LegAnswered,
    LegEnded,
    LegOffered,
    LegRinging,
    LegTransferred,
    RoutingDecided,
    TransferEnded,
)

pytestmark = pytest.mark.feature("P-6")

A, SYSTEM, B1, B2 = (TIME_WIDTH + WIDTH * column for column in range(4))


@pytest.fixture
def rows(call) -> list[str]:  # type: ignore[no-untyped-def]
    return ladder(
        call(
            (0.0, "a", CallStarted(direction="from_user", caller="101", caller_user_id="dumas", dialled="102")),
            (0.01, None, RoutingDecided(application="routing", step="ring")),
            (0.02, "b1", LegOffered(party="meier", number="102")),
            (0.02, "b2", LegOffered(party="weber", number="103")),
            (0.1, "b2", LegRinging()),
            (1.5, "b1", LegAnswered()),
            (1.51, "b2", LegEnded(cause="answered_elsewhere", sip_status=487, by="system")),
            (1.52, None, CallBridged(legs=("a", "b1"))),
            (4.0, "a", LegEnded(cause="normal_clearing", by="caller")),
            (4.01, "b1", LegEnded(cause="normal_clearing", by="caller")),
            (4.02, None, CallEnded(cause="normal_clearing", by="caller", talk_ms=2500)),
        )
    )


def test_a_row_per_event_under_a_row_of_titles(rows: list[str]) -> None:
    assert len(rows) == 12
    assert rows[0].split() == ["a", "dumas", "Carillon", "b1", "meier", "b2", "weber"]


def test_arrows_point_from_who_acts_to_who_is_acted_upon(rows: list[str]) -> None:
    assert rows[1][A] == "|"
    assert rows[1][SYSTEM - 1] == ">"
    assert "calls 102" in rows[1]
    assert rows[6][SYSTEM + 1] == "<"
    assert "answers" in rows[6]
    assert rows[7][B2 - 1] == ">"
    assert "487 answered_elsewhere" in rows[7]
    assert rows[9][SYSTEM - 1] == ">"
    assert rows[10][B1 - 1] == ">"


def test_audio_goes_both_ways_across_carillon(rows: list[str]) -> None:
    assert rows[8][A + 1] == "<"
    assert rows[8][B1 - 1] == ">"
    assert "audio both ways" in rows[8]


def test_a_life_line_begins_with_the_offer_and_ends_with_the_leg(rows: list[str]) -> None:
    assert len(rows[2]) < B1
    assert rows[6][B2] == "|"
    assert len(rows[9]) <= B1 + 1


def test_times_count_from_the_start(rows: list[str]) -> None:
    assert rows[1].split()[0] == "+0.000"
    assert rows[6].split()[0] == "+1.500"


def test_no_events_give_one_line() -> None:
    assert ladder([]) == ["(no events of this call)"]


@pytest.mark.feature("M-4", "M-12")
def test_transfers_and_requests_are_drawn(call) -> None:  # type: ignore[no-untyped-def]
    rows = ladder(
        call(
            (0.0, "a", CallStarted(direction="from_user", caller="101", caller_user_id="dumas", dialled="102")),
            (0.1, "b1", LegOffered(party="meier", number="102")),
            (1.0, "b1", LegTransferred(kept="a", destination="103", requested_by="phone")),
            (2.0, "b1", TransferEnded(result="given_up", sip_status=487)),
            (2.1, "b1", CallTransferred(other_call_id="c2", moved="b2", goes_on=True)),
            (2.2, None, CallControlled(action="hang_up", requested_by="olga")),
            (2.3, None, CallEnded(cause="normal_clearing", by="system")),
        )
    )
    for text in ("sends a to 103", "transfer given up", "joins its other call", "olga asks: hang up"):
        assert any(text in row for row in rows), rows


@pytest.mark.feature("M-9")
def test_a_conference_is_told_from_its_door_to_its_end(call) -> None:  # type: ignore[no-untyped-def]
    shown = ladder(
        call(
            (0.0, "a", CallStarted(direction="from_user", caller="101", caller_user_id="dumas", dialled="600")),
            (0.1, "a", LegAnswered()),
            (0.2, "a", ConferenceJoined(room_id="board", meeting_id="m", creator=True)),
            (9.0, "a", ConferenceLeft(room_id="board", meeting_id="m", result="closed")),
            (9.1, None, CallEnded(cause="normal_clearing", by="system")),
        )
    )
    assert any("in board, creator" in row for row in shown)
    assert any("out of board: closed" in row for row in shown)
