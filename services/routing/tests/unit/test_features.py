"""What users dial beyond numbers: who may, which step it is, and what comes after it."""

from typing import Any

import pytest

from carillon_contracts.feature_codes import Coded, recognise
from carillon_routing.domain.asks import Attend
from carillon_routing.domain.cursor import Cursor, FeatureWait, decode, encode
from carillon_routing.domain.facts import HangUp, Play, Rang, Ring
from carillon_routing.domain.feature_steps import NothingTaken, Page, PageOver, Park, ParkOver, PickUp, Supervise, SuperviseOver
from carillon_routing.testing import SimulatedCall, World, small_company

LOT = {"id": "main", "first_slot": "701", "last_slot": "703", "recall_seconds": 60, "recall_ring_seconds": 20}
SALES = {"id": "sales", "user_ids": ["anna", "ben"]}
HALL = {"id": "hall", "number": "1", "user_ids": ["anna", "ben", "carl"]}
BOSS = {"id": "boss", "supervisor_user_ids": ["anna"], "user_ids": ["ben"], "modes": ["listen", "whisper"]}
TENANT = {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr", "main_number": "+41215550100"}


def house(**changes: Any) -> Any:
    parts: dict[str, Any] = {"parking_lots": [LOT], "pickup_groups": [SALES], "paging_groups": [HALL], "supervisions": [BOSS]}
    return small_company(**{**parts, **changes})


def dial(digits: str, user: str = "anna", *, transferred: bool = False, **changes: Any) -> SimulatedCall:
    return SimulatedCall.from_user(house(**changes), user, digits, transferred=transferred)


def says(call: SimulatedCall) -> str:
    assert isinstance(call.last.step, Play), call.last.step
    return call.last.step.phrases[0].text


# -- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.feature("R-19")
@pytest.mark.parametrize(
    ("dialled", "coded"),
    [
        ("*8", Coded("pick_up_group", "*8")),
        ("**102", Coded("pick_up", "**", "102")),
        ("**", None),
        ("*7", Coded("park", "*7")),
        ("*7701", Coded("park", "*7", "701")),
        ("701", Coded("park", "", "701", slot=True)),
        ("704", None),
        ("*80102", Coded("intercom", "*80", "102")),
        ("*21*0791112233#", Coded("forward_on", "*21*", "0791112233")),
        ("*21*", None),
        ("#21#", Coded("forward_off", "#21#")),
        ("*78", Coded("dnd_on", "*78")),
        ("*45", Coded("agent_login", "*45")),
        ("*46200", Coded("agent_logout", "*46", "200")),
        ("*47", Coded("agent_pause", "*47")),
        ("*475", None),
        ("*789", Coded("park", "*7", "89")),
        ("*310791112233", Coded("withhold", "*31", "0791112233")),
        ("*97", Coded("voicemail", "*97")),
        ("*97102", Coded("voicemail", "*97", "102")),
        ("*97*", Coded("voicemail", "*97", "*")),
        ("102", None),
        ("", None),
        ("*", None),
    ],
)
def test_the_longest_code_that_fits_counts(dialled: str, coded: Coded | None) -> None:
    assert recognise(house(), dialled) == coded


@pytest.mark.feature("R-19")
def test_a_tenant_has_codes_of_its_own() -> None:
    config = house(tenant=TENANT | {"feature_codes": [{"feature": "park", "code": "*5"}, {"feature": "page"}]})
    assert recognise(config, "*5") == Coded("park", "*5")
    assert recognise(config, "*7") is None
    assert recognise(config, "*811") is None


@pytest.mark.feature("R-27")
@pytest.mark.parametrize(("by", "seconds"), [("ben", 25), ("carl", 60)])
def test_what_a_secretary_parks_is_called_back_no_later_than_the_reminder(by: str, seconds: int) -> None:
    boss = {"id": "anna", "last_name": "A", "secretary": {"user_id": "ben", "reminder_seconds": 25}}
    users = [boss, {"id": "ben", "last_name": "B"}, {"id": "carl", "last_name": "C"}]
    call = dial("*7", by, transferred=True, users=users)
    assert isinstance(call.last.step, Park)
    assert call.last.step.timeout_ms == seconds * 1000


@pytest.mark.feature("R-19")
def test_an_emergency_number_is_never_a_slot() -> None:
    lot = LOT | {"first_slot": "110", "last_slot": "119"}
    step = dial("117", parking_lots=[lot]).last.step
    assert isinstance(step, Ring)


@pytest.mark.feature("R-19")
def test_carriers_dial_no_codes() -> None:
    assert SimulatedCall.from_outside(house(), "*8", "2026-01-06 10:00").ends == (1, 404)


def test_the_wait_travels_with_the_call() -> None:
    cursor = Cursor(3, FeatureWait("recall", "main", "701", "ben"))
    assert decode(encode(cursor)) == cursor


# -- pickup -----------------------------------------------------------------------------------------------------------


@pytest.mark.feature("M-5", "R-19")
def test_a_member_takes_what_rings_at_the_others_of_its_groups() -> None:
    call = dial("*8")
    assert call.last.step == PickUp(("ben",))
    assert says(call.becomes(NothingTaken())) == "Il n'y a pas d'appel à prendre."


@pytest.mark.feature("M-5")
def test_who_is_in_no_group_takes_nothing() -> None:
    assert says(dial("*8", "carl")) == "Vous n'y êtes pas autorisé."


@pytest.mark.feature("M-5")
def test_a_directed_pickup_takes_what_rings_at_an_extension() -> None:
    assert dial("**102", "carl").last.step == PickUp(("ben",))
    assert says(dial("**199")) == "Ce numéro n'existe pas."


@pytest.mark.feature("M-5")
def test_a_groups_extension_stands_for_its_members() -> None:
    group = {"id": "g", "members": [{"user_id": "ben"}, {"external_number": "+41791112233"}, {"user_id": "carl"}]}
    extension = {"id": "200", "destination": {"ring_group_id": "g"}}
    assert dial("**200", ring_groups=[group], extensions=[extension]).last.step == PickUp(("ben", "carl"))


@pytest.mark.feature("M-5")
def test_where_only_groups_may_pick_up_others_may_not() -> None:
    tenant = TENANT | {"pickup_scope": "group"}
    assert dial("**102", tenant=tenant).last.step == PickUp(("ben",))
    assert says(dial("**103", tenant=tenant)) == "Vous n'y êtes pas autorisé."


# -- parking ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature("M-5", "R-19")
def test_a_call_sent_to_the_code_is_parked_in_any_slot_and_one_sent_to_a_slot_in_that() -> None:
    step = dial("*7", transferred=True).last.step
    assert isinstance(step, Park)
    assert (step.slots, step.timeout_ms, step.announcement[0].text) == (("701", "702", "703"), 60_000, "Appel parqué au {slot}.")
    by_slot = dial("702", transferred=True).last.step
    assert isinstance(by_slot, Park)
    assert by_slot.slots == ("702",)
    assert isinstance(dial("*7702", transferred=True).last.step, Park)


@pytest.mark.feature("M-5")
def test_who_dials_a_slot_takes_its_call_back() -> None:
    assert dial("702").last.step == PickUp(slot="702")


@pytest.mark.feature("M-5")
def test_without_a_lot_or_a_slot_the_call_goes_back() -> None:
    assert dial("*7", transferred=True, parking_lots=[]).ends == (34, 503)
    assert dial("*7", transferred=True).becomes(ParkOver("no_slot")).ends == (34, 503)


@pytest.mark.feature("M-5")
def test_a_call_that_nobody_takes_rings_at_who_parked_it_and_is_then_parked_again() -> None:
    call = dial("*7", "ben", transferred=True).becomes(ParkOver("timed_out", "702"))
    assert call.rings == [("ben", 0, 20)]
    step = call.rang("no_answer").last.step
    assert isinstance(step, Park)
    assert step.slots == ("702", "701", "703")
    assert step.announcement == ()
    assert call.becomes(ParkOver("timed_out", "702")).rings == [("ben", 0, 20)]


@pytest.mark.feature("M-5")
def test_a_lot_may_say_where_calls_go_that_nobody_takes() -> None:
    call = dial("*7", "ben", transferred=True, parking_lots=[LOT | {"no_answer": {"user_id": "carl"}}])
    assert [who for who, _, _ in call.becomes(ParkOver("timed_out", "701")).rang("no_answer").rings] == ["carl"]


@pytest.mark.feature("M-5")
def test_a_parked_call_can_be_told_to_a_paging_group() -> None:
    step = dial("*7", transferred=True, parking_lots=[LOT | {"paging_group_id": "hall"}]).last.step
    assert isinstance(step, Park)
    assert (step.page_user_ids, step.page_phrases[0].text) == (("anna", "ben", "carl"), "Un appel vous attend au {slot}.")


# -- intercom and paging ----------------------------------------------------------------------------------------------


@pytest.mark.feature("M-5", "R-19")
def test_an_intercom_rings_one_user_whose_phone_answers_by_itself() -> None:
    call = dial("*80102")
    assert isinstance(call.last.step, Ring)
    assert call.last.step.auto_answer
    assert call.shown == ("101", "Anna")
    assert call.rang("busy").ends == (17, 486)


@pytest.mark.feature("M-5")
def test_nobody_who_is_not_to_be_disturbed_is_spoken_to() -> None:
    users = [{"id": name, "last_name": name, "do_not_disturb": name == "ben"} for name in ("anna", "ben", "carl")]
    assert dial("*80102", users=users).ends == (17, 486)
    step = dial("*811", users=users).last.step
    assert isinstance(step, Page)
    assert step.user_ids == ("carl",)


@pytest.mark.feature("M-5", "R-19")
def test_a_page_is_for_everybody_of_the_group_but_who_speaks() -> None:
    call = dial("*811")
    assert isinstance(call.last.step, Page)
    assert (call.last.step.user_ids, call.last.step.caller_number) == (("ben", "carl"), "101")
    assert call.becomes(PageOver(2)).ends == (16, 480)
    assert says(dial("*811").becomes(PageOver(0))) == "Aucun téléphone n'est joignable."
    assert says(dial("*812")) == "Ce numéro n'existe pas."


@pytest.mark.feature("M-5")
def test_only_some_may_page() -> None:
    groups = [HALL | {"allowed_user_ids": ["ben"]}]
    assert isinstance(dial("*811", "ben", paging_groups=groups).last.step, Page)
    assert says(dial("*811", "anna", paging_groups=groups)) == "Vous n'y êtes pas autorisé."


# -- supervision ------------------------------------------------------------------------------------------------------


@pytest.mark.feature("M-5", "R-19")
def test_a_supervisor_takes_part_as_far_as_the_right_goes() -> None:
    call = dial("*82102")
    assert call.last.step == Supervise("ben", "listen", ("listen", "whisper"))
    assert dial("*83102").last.step == Supervise("ben", "whisper", ("listen", "whisper"))
    assert says(dial("*84102")) == "Vous n'y êtes pas autorisé."
    assert call.becomes(SuperviseOver(True)).ends == (16, 480)
    assert says(dial("*82102").becomes(SuperviseOver(False))) == "Personne n'est en conversation."


@pytest.mark.feature("M-5")
@pytest.mark.parametrize(("user", "digits"), [("ben", "*82101"), ("carl", "*82102"), ("anna", "*82103"), ("anna", "*82101")])
def test_without_a_right_nobody_listens_to_anybody(user: str, digits: str) -> None:
    call = dial(digits, user)
    assert says(call) == "Vous n'y êtes pas autorisé."
    assert not call.last.trace[-1].matched


def test_a_step_that_ends_a_call_needs_no_more() -> None:
    assert isinstance(dial("*7", transferred=True, parking_lots=[]).last.step, HangUp)


# -- agents -----------------------------------------------------------------------------------------------------------

HUNTED = [
    {"id": "sales", "members": [{"user_id": "anna"}, {"user_id": "ben", "permanent": True}]},
    {"id": "support", "members": [{"user_id": "anna"}]},
]
QUEUES: dict[str, Any] = {
    "hunt_groups": HUNTED,
    "agents": [{"id": "a1", "user_id": "anna"}],
    "queues": [{"id": "hotline", "members": [{"agent_id": "a1"}]}, {"id": "other"}],
    "extensions": [
        {"id": "200", "destination": {"hunt_group_id": "sales"}},
        {"id": "201", "destination": {"queue_id": "hotline"}},
        {"id": "202", "destination": {"queue_id": "other"}},
    ],
}


@pytest.mark.feature("R-19", "R-9", "R-10")
@pytest.mark.parametrize(
    ("dialled", "attended", "said"),
    [
        ("*45", Attend("log_in", "anna", ("a1",), ("sales", "support")), "Vous êtes en service."),
        ("*45200", Attend("log_in", "anna", (), ("sales",)), "Vous êtes en service."),
        ("*46201", Attend("log_out", "anna", ("a1",), ()), "Vous n'êtes plus en service."),
        ("*47", Attend("pause", "anna", ("a1",), ()), "Vous êtes en pause."),
        ("*45202", None, "Vous n'y êtes pas autorisé."),
        ("*45102", None, "Ce numéro n'existe pas."),
    ],
)
def test_an_agent_logs_in_and_out_and_pauses(dialled: str, attended: Attend | None, said: str) -> None:
    call = dial(dialled, **QUEUES)
    assert says(call) == said
    assert call.world.attended == ([attended] if attended else [])


@pytest.mark.feature("R-19", "R-9")
def test_who_works_nowhere_or_always_cannot_log_in() -> None:
    assert says(dial("*45", "ben", **QUEUES)) == "Vous n'y êtes pas autorisé."
    assert says(dial("*47", "carl", **QUEUES)) == "Vous n'y êtes pas autorisé."


@pytest.mark.feature("R-19")
def test_what_could_not_be_kept_is_not_said_to_be_done() -> None:
    call = SimulatedCall.from_user(house(**QUEUES), "anna", "*45", world=World(dark=True))
    assert says(call) == "Ce n'est pas possible pour le moment."


# -- what users send elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.feature("M-4", "R-19")
@pytest.mark.parametrize(
    ("dialled", "ends"), [("**199", (1, 404)), ("*82299", (1, 404)), ("*82103", (21, 403)), ("*45", (21, 403)), ("0900123456", (21, 403))]
)
def test_a_call_that_is_sent_to_what_cannot_be_ends_so_that_it_goes_back(dialled: str, ends: tuple[int, int]) -> None:
    barred: dict[str, Any] = {"restriction_profiles": [{"id": "none", "barred": ["premium"]}]}
    users = [{"id": each, "last_name": each.title(), "restriction_profile_id": "none"} for each in ("anna", "ben", "carl")]
    assert dial(dialled, transferred=True, users=users, **barred).ends == ends
    assert says(dial(dialled, users=users, **barred))


@pytest.mark.feature("M-4")
def test_a_call_that_was_sent_on_goes_back_also_when_what_it_is_forwarded_to_is_refused() -> None:
    profiles = [{"id": "none", "barred": ["premium"]}]
    forwarding = {"no_answer": {"external_number": "+41900123456"}}
    users = [
        {"id": "anna", "last_name": "Anna"},
        {"id": "ben", "last_name": "Ben", "restriction_profile_id": "none", "forwarding": forwarding},
    ]
    call = dial("102", transferred=True, users=users, restriction_profiles=profiles, pickup_groups=[], paging_groups=[], supervisions=[])
    assert call.becomes(Rang("no_answer")).ends == (21, 403)
