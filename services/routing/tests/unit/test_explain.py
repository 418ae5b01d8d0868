"""A call in words: what is kept of it says why it went there, in every language, with the same values."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from carillon_contracts.call import CallEnded, CallStarted, DigitsGathered, LegAnswered, LegOffered, RingEnded, RoutingDecided, TraceLine
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.languages import LANGUAGES, Language
from carillon_kit.errors import InvalidArgument
from carillon_routing.domain.explain import Part, lines, parts
from carillon_routing.grpc_explain import explained, teller_for
from carillon_routing.testing import SimulatedCall, with_plan

pytestmark = pytest.mark.feature("R-20")
START = datetime(2026, 1, 6, 9, tzinfo=UTC)
NODES = (
    {"id": "hours", "calendar": {"entries": [{"schedule_id": "office", "next": "anna"}], "otherwise": "end"}},
    {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"busy": "end"}}},
    {"id": "end", "hang_up": {"reason": "busy"}},
)
OFFICE = {"id": "office", "display_name": "Büro", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "18:00"}]}
CONFIG = with_plan(*NODES, schedules=[OFFICE])


def events(*data: tuple[str | None, EventData]) -> list[Event]:
    return [
        Event(
            id=UUID(int=seq),
            source="carillon/media",
            type=f"carillon.{each.TYPE}",
            subject="c1",
            time=START + timedelta(seconds=seq),
            data=each.model_dump(mode="json"),
            tenantid="acme",
            callid="c1",
            legid=leg,
            seq=seq,
            configseq=7,
        )
        for seq, (leg, each) in enumerate(data, 1)
    ]


def a_call() -> list[Event]:
    call = SimulatedCall.from_outside(CONFIG, "+41215550100", "2026-01-06 10:00")
    trace = tuple(TraceLine(subject=x.subject, matched=x.matched, reason=x.reason, next=x.next) for x in call.advances[0].trace)
    ring = {"targets": [{"target_id": "1", "user_id": "anna", "stop_after_ms": 20000}]}
    return events(
        ("a", CallStarted(direction="inbound", caller="", dialled="+41215550100")),
        (None, RoutingDecided(application="routing", step="ring", details=ring, trace=trace)),
        ("b1", LegOffered(party="anna")),
        (None, RingEnded(result="busy")),
        (None, RoutingDecided(application="routing", step="hang_up", details={"cause": 17, "sip_status": 486})),
        (None, DigitsGathered(digits=None, timed_out=False)),
        ("b1", LegAnswered()),
        (None, CallEnded(cause="user_busy", by="system")),
    )


def told(language: Language) -> list[Part]:
    return parts(teller_for(CONFIG, language), a_call())


def test_a_call_in_german() -> None:
    text = "\n".join(lines(teller_for(CONFIG, "de"), "c1", told("de")))
    for said in (
        "Anruf c1",
        "eine unterdrückte Nummer ruft von außen +41215550100 an",
        "1. Das Routing entscheidet nach Version 7 der Konfiguration",
        "+ Zeitplan Büro: Dienstag 2026-01-06 10:00 Europe/Zurich liegt in 08:00-18:00 von Dienstag → Knoten anna",
        "=> Also: es klingelt bei Benutzer Anna von 0 s bis 20 s",
        "Das Klingeln ist vorbei: besetzt",
        "=> Also: der Anruf endet: besetzt",
        "Der Anrufer gibt einen Code ein",
        "Benutzer Anna nimmt ab",
        "Der Anruf endet: besetzt",
    ):
        assert said in text, f"{said}\n---\n{text}"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("switching_equipment_congestion", "Überlastung"),
        ("no_circuit_available", "kein Kanal ist frei"),
        ("number_changed", "number changed"),
        ("caller_gave_up", "caller gave up"),
    ],
)
def test_a_cause_is_told_by_its_number_and_as_it_is_written_where_it_has_no_sentence(cause: str, said: str) -> None:
    (part,) = parts(teller_for(CONFIG, "de"), events((None, CallEnded(cause=cause, by="system"))))
    assert part.sentence == f"Der Anruf endet: {said}"


def test_kinds_and_values_are_the_same_in_every_language_and_sentences_are_not() -> None:
    shapes = []
    for language in LANGUAGES:
        found = told(language)
        decisions = [part.decision for part in found if part.decision is not None]
        shapes.append(
            (
                [(part.kind, part.values) for part in found],
                [(each.kind, each.subject_kind, each.values, each.matched) for decision in decisions for each in decision.conditions],
            )
        )
    assert all(shape == shapes[0] for shape in shapes)
    assert ("inside_range", "thing") in {(kind, subject) for kind, subject, _, _ in shapes[0][1]}
    assert len({told(language)[0].sentence for language in LANGUAGES}) == len(LANGUAGES)


def test_a_simulated_turn_is_told_with_its_values() -> None:
    turn = SimulatedCall.from_outside(CONFIG, "+41215550100", "2026-01-06 19:00").advances[0]
    message = explained(teller_for(CONFIG, "nl"), turn)
    closed = next(each for each in message.conditions if each.kind == "outside_ranges")
    assert not closed.matched
    assert dict(closed.values) == {
        "subject.other": "schedule/office",
        "moment": "Tue 2026-01-06 19:00 Europe/Zurich",
        "range": "08:00-18:00",
        "day": "Tue",
    }
    assert closed.sentence.startswith("uurrooster Büro: dinsdag 2026-01-06 19:00")
    assert message.step_sentence == "de oproep eindigt: bezet"


def test_the_tenants_language_is_the_usual_one_and_others_than_the_four_are_refused() -> None:
    assert teller_for(CONFIG, "").language == CONFIG.tenant.language.split("-")[0]
    with pytest.raises(InvalidArgument):
        teller_for(CONFIG, "xx")
