"""What is odd about a plan: entries that never match, menus nobody can leave, ways that end in nothing. Each says how it is mended."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon.directory.v1 import plan_pb2 as pb
from carillon_contracts.config import RESOURCES, Plan, Schedule
from carillon_contracts.languages import LANGUAGES, Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.finding_texts import texts, told
from carillon_directory.domain.checks import violations
from carillon_directory.domain.documents import Secret, parse
from carillon_directory.domain.finding import Finding
from carillon_directory.domain.findings import findings, of_number
from carillon_directory.domain.openings import covered
from carillon_directory.domain.outcomes import Violation
from carillon_directory.domain.refusals import KINDS, refused
from carillon_directory.grpc_findings import refusal

pytestmark = pytest.mark.feature("R-2")
WEEK = [1, 2, 3, 4, 5]
DAY = {"ranges": [{"weekdays": WEEK, "start": "08:00", "end": "18:00"}]}
MORNING = {"ranges": [{"weekdays": [1, 2], "start": "08:00", "end": "12:00"}]}
LATE = {"ranges": [{"weekdays": WEEK, "start": "17:00", "end": "20:00"}]}
CHRISTMAS = {"exceptions": [{"date": "2026-12-25", "ranges": [{"start": "08:00", "end": "12:00"}]}]}
END = {"id": "z", "hang_up": {}}
HANG_UP = {"hang_up": "busy"}
HALVES = [{"percent": 60, "next": "z"}, {"percent": 60, "next": "z"}]


def config(*plans: Plan, **resources: list[dict[str, Any]]) -> TenantConfig:
    everything = {"tenant": [{"id": "acme", "realm": "acme.example", "time_zone": "Europe/Zurich"}], **resources}
    made = {kind: {each["id"]: RESOURCES[kind].model_validate(each) for each in many} for kind, many in everything.items()}
    return TenantConfig("acme", 1, {**made, "plan": {each.id: each for each in plans}})


def plan(*nodes: dict[str, Any], plan_id: str = "p") -> Plan:
    return Plan.model_validate({"id": plan_id, "entry": nodes[0]["id"], "nodes": list(nodes)})


def found(*nodes: dict[str, Any], others: tuple[Plan, ...] = (), **resources: list[dict[str, Any]]) -> list[tuple[str, str]]:
    value = plan(*nodes, END)
    return [(each.kind, each.path) for each in findings(config(value, *others, **resources), value)]


def calendar(*schedules: str) -> dict[str, Any]:
    return {"id": "a", "calendar": {"entries": [{"schedule_id": each, "next": "z"} for each in schedules], "otherwise": "z"}}


@pytest.mark.feature("R-5")
@pytest.mark.parametrize(
    ("schedules", "kinds"),
    [
        ({"one": DAY, "two": LATE}, []),
        ({"one": DAY, "two": {}}, [("calendar_never_open", 1)]),
        ({"one": DAY, "two": MORNING}, [("calendar_shadowed", 1)]),
        ({"one": MORNING, "two": DAY}, []),
        ({"one": DAY, "two": CHRISTMAS}, [("calendar_shadowed", 1)]),
        # Closed on the holiday, so that the other schedule's exception counts.
        ({"one": {**DAY, "holidays": [{"date": "2026-12-25", "country": "CH"}]}, "two": CHRISTMAS}, []),
        # By another clock nothing is certain.
        ({"one": {**DAY, "time_zone": "Asia/Tokyo"}, "two": MORNING}, []),
        # Two together cover what neither does alone.
        ({"one": DAY, "two": LATE, "three": {"ranges": [{"weekdays": [3], "start": "09:00", "end": "19:00"}]}}, [("calendar_shadowed", 2)]),
        ({"one": {"mode": "day"}, "two": DAY}, [("calendar_never_open", 0)]),
    ],
)
def test_a_calendar_says_which_entry_can_never_match(schedules: dict[str, Any], kinds: list[tuple[str, int]]) -> None:
    resources = [{"id": name, **fields} for name, fields in schedules.items()]
    expected = [(kind, f"nodes[0].calendar.entries[{index}].schedule_id") for kind, index in kinds]
    assert found(calendar(*schedules), schedule=resources) == expected


ORIGIN = [
    ([{"prefixes": ["+41"]}, {"numbers": ["+41791112233"]}], [("origin_shadowed", 1)]),
    ([{"numbers": ["+41791112233"]}, {"prefixes": ["+41"]}], []),
    ([{"prefixes": ["+41"]}, {"prefixes": ["+4179", "+33"]}], []),
    ([{"countries": ["CH", "FR"]}, {"countries": ["FR"]}], [("origin_shadowed", 1)]),
    ([{"origin_zone_id": "romandie"}, {"prefixes": ["+4121"]}], [("origin_shadowed", 1)]),
    ([{"prefixes": ["+4121"]}, {"origin_zone_id": "romandie"}], [("origin_shadowed", 1)]),
    ([{"withheld": True}, {"internal": True}, {"withheld": True, "internal": True}], [("origin_shadowed", 2)]),
    ([{"origin_zone_id": "nowhere"}], [("origin_empty", 0)]),
]


@pytest.mark.parametrize(("entries", "kinds"), ORIGIN)
def test_an_origin_node_says_which_entry_can_never_match(entries: list[dict[str, Any]], kinds: list[tuple[str, int]]) -> None:
    zones: list[dict[str, Any]] = [{"id": "romandie", "prefixes": ["+4121"]}, {"id": "nowhere"}]
    node = {"id": "a", "origin": {"entries": [{**entry, "next": "z"} for entry in entries], "otherwise": "z"}}
    assert found(node, origin_zone=zones) == [(kind, f"nodes[0].origin.entries[{index}]") for kind, index in kinds]


def menu(**fields: Any) -> dict[str, Any]:
    return {"id": "m", "prompt": [{"text": "x"}], **fields}


SAYS, GOES, AGAIN = (
    {"key": "1", "message": [{"text": "x"}]},
    {"key": "1", "destination": {"hang_up": "normal"}},
    {"key": "1", "destination": {"menu_id": "m"}},
)
CLOSED: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (menu(keys=[SAYS]), {}, True),
    (menu(keys=[AGAIN]), {}, True),
    (menu(keys=[GOES]), {}, False),
    (menu(keys=[GOES]), {"keys": [{"key": "1", "next": "a"}]}, True),
    (menu(keys=[SAYS]), {"keys": [{"key": "1", "next": "z"}]}, False),
    (menu(keys=[SAYS]), {"no_choice": "z"}, False),
    (menu(keys=[SAYS]), {"no_choice": "a"}, True),
    (menu(keys=[SAYS], no_choice={"hang_up": "normal"}), {}, False),
    (menu(keys=[SAYS], timed_out={"hang_up": "normal"}), {}, False),
    (menu(extension_dialling=True), {}, False),
]


@pytest.mark.parametrize(("value", "node", "closed"), CLOSED)
def test_a_menu_that_nobody_can_leave(value: dict[str, Any], node: dict[str, Any], closed: bool) -> None:
    expected = [("menu_no_way_out", "nodes[0].menu.menu_id")] if closed else []
    nodes = {"id": "a", "menu": {"menu_id": "m", **node}}
    assert found(nodes, menu=[value]) == expected


def test_a_menu_that_sends_everybody_on_needs_no_ways() -> None:
    value = menu(keys=[SAYS], redirect={"hang_up": "normal"})
    assert found({"id": "a", "menu": {"menu_id": "m", "no_choice": "z"}}, menu=[value]) == [("menu_redirects", "nodes[0].menu.menu_id")]
    assert found({"id": "a", "menu": {"menu_id": "m"}}, menu=[value]) == []


def test_conditions_that_never_hold() -> None:
    mode = {"schedule_id": "s", "entries": [{"mode": each, "next": "z"} for each in ("day", "lunch", "day", "feast")], "otherwise": "z"}
    assert found({"id": "a", "mode": mode}) == [
        ("mode_twice", "nodes[0].mode.entries[2].mode"),
        ("mode_unknown", "nodes[0].mode.entries[3].mode"),
    ]
    switch = {"variable": "vip", "entries": [{"value": each, "next": "z"} for each in ("yes", "yes")], "otherwise": "z"}
    unset = ("variable_unset", "nodes[0].switch.variable")
    assert found({"id": "a", "switch": switch}) == [("value_twice", "nodes[0].switch.entries[1].value"), unset]
    sets = plan({"id": "a", "set_variable": {"name": "vip", "value": "yes", "next": "z"}}, END, plan_id="other")
    assert unset not in found({"id": "a", "switch": switch}, others=(sets,))
    listed = {"id": "a", "caller_list": {"caller_list_id": "l", "listed": "z", "otherwise": "z"}}
    assert found(listed, caller_list=[{"id": "l"}]) == [("list_empty", "nodes[0].caller_list.listed")]
    assert found(listed, caller_list=[{"id": "l", "withheld": True}]) == []
    look = {"id": "a", "look_up": {"look_up_table_id": "t", "variable": "v", "found": "z", "otherwise": "z"}}
    assert found(look, look_up_table=[{"id": "t"}]) == [("table_empty", "nodes[0].look_up.found")]


def test_ways_that_end_in_nothing() -> None:
    user: dict[str, Any] = {"id": "u", "last_name": "U"}
    rings: dict[str, Any] = {"id": "a", "destination": {"destination": {"user_id": "u"}}}
    nothing = [("no_way_on", "nodes[0].destination.ways")]
    assert found(rings, user=[user]) == nothing
    assert found({"id": "a", "destination": {**rings["destination"], "ways": {"busy": "z"}}}, user=[user]) == nothing
    assert found({"id": "a", "destination": {**rings["destination"], "ways": {"otherwise": "z"}}}, user=[user]) == []
    assert found(rings, user=[{**user, "forwarding": {"no_answer": {"hang_up": "busy"}}}]) == []
    queue = {"id": "a", "queue": {"queue_id": "q"}}
    assert found(queue, queue=[{"id": "q"}]) == [
        ("queue_empty", "nodes[0].queue.queue_id"),
        ("queue_without_end", "nodes[0].queue.queue_id"),
        ("queue_full_ends", "nodes[0].queue.ways"),
    ]
    back = plan({"id": "r", "return_to": {"exit": "vip"}}, {"id": "s", "return_to": {}}, plan_id="sub")
    runs = {"id": "a", "sub_plan": {"plan_id": "sub", "exits": [{"name": "old", "next": "z"}]}}
    assert found(runs, others=(back,)) == [
        ("exit_never", "nodes[0].sub_plan.exits[0].name"),
        ("exit_nowhere", "nodes[0].sub_plan.next"),
    ]
    alone = findings(config(back), back)
    assert {each.kind for each in alone} == {"return_unused"}
    assert findings(config(back, plan(runs, END)), back) == []


@pytest.mark.feature("R-23", "D-16")
def test_a_short_number_that_calls_help_somewhere_in_the_company_is_told() -> None:
    everywhere = config(site=[{"id": "berlin", "country": "DE"}], department=[])
    kinds = {"extension": "id", "short_code": "code", "contact": "short_number"}

    def odd(kind: str, digits: str) -> list[tuple[str, str]]:
        of: dict[str, dict[str, Any]] = {
            "extension": {"id": digits, "destination": {"hang_up": "busy"}},
            "short_code": {"id": "s", "code": digits, "number": "+41215550100"},
            "contact": {"id": "c", "last_name": "C", "phone": "+41215550100", "short_number": digits},
        }
        found = of_number(everywhere, RESOURCES[kind].model_validate(of[kind]))
        assert {(each.kind, each.path) for each in found} <= {("number_calls_help", kinds[kind])}
        return [(each.values["number"], each.values["countries"]) for each in found]

    for kind in kinds:
        assert odd(kind, "110") == [("110", "DE")]
        assert odd(kind, "112") == [("112", "CH, DE")]
        assert odd(kind, "117") == [("117", "CH")]
        assert odd(kind, "119") == odd(kind, "1100") == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_is_told_in_every_language_with_the_same_values(language: Language) -> None:
    english = texts("en")
    assert texts(language).keys() == english.keys()
    for kind, said in english.items():
        names = re.findall(r"\{(\w+)\}", said["reason"])
        assert sorted(re.findall(r"\{(\w+)\}", texts(language)[kind]["reason"])) == sorted(names)
        reason, mend = told(Finding(kind, "a", "nodes[0]", dict.fromkeys(names, "it")), language)
        assert reason
        assert mend
        assert "{" not in reason + mend


# -- what refuses a plan --------------------------------------------------------------------------------------------------

ODD: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("no_node", "nodes[0].menu.no_choice", [{"id": "a", "menu": {"menu_id": "m", "no_choice": "gone"}}]),
    ("out_of_reach", "nodes[1]", [END, {"id": "b", "hang_up": {}}]),
    ("counts_when_rung", "nodes[0].destination.ring_seconds", [{"id": "a", "destination": {"destination": HANG_UP, "ring_seconds": 5}}]),
    (
        "counts_when_rung",
        "nodes[0].destination.ways.busy",
        [{"id": "a", "destination": {"destination": HANG_UP, "ways": {"busy": "z"}}}, END],
    ),
    ("loop", "nodes[0]", [{"id": "a", "language": {"languages": ["fr"], "next": "a"}}]),
    ("no_resource", "nodes[0].menu.menu_id", [{"id": "a", "menu": {"menu_id": "none"}}]),
    ("node_twice", "", [END, END]),
    ("not_one_kind", "nodes[0]", [{"id": "a"}]),
    ("nobody_matches", "nodes[0].origin.entries[0]", [{"id": "a", "origin": {"entries": [{"next": "z"}], "otherwise": "z"}}, END]),
    ("no_limit", "nodes[0].limit", [{"id": "a", "limit": {"within": "z", "over": "z"}}, END]),
    ("half_a_rate", "nodes[0].limit", [{"id": "a", "limit": {"max_starts": 2, "within": "z", "over": "z"}}, END]),
    (
        "not_a_hundred",
        "nodes[0].split",
        [{"id": "a", "split": {"shares": HALVES}}, END],
    ),
    ("built_in", "nodes[0].set_variable", [{"id": "a", "set_variable": {"name": "dialled", "value": "x", "next": "z"}}, END]),
    (
        "value_or_source",
        "nodes[0].set_variable",
        [{"id": "a", "set_variable": {"name": "x", "value": "x", "source": "dialled", "next": "z"}}, END],
    ),
    ("not_http", "nodes[0].sticky_agent.sources[0]", [{"id": "a", "sticky_agent": {"sources": [{"kind": "http"}], "next": "z"}}, END]),
    ("silent", "nodes[0].announcement.announcements[0]", [{"id": "a", "announcement": {"announcements": [{}]}}]),
    ("missing", "nodes[0].mailbox.mailbox_id", [{"id": "a", "mailbox": {}}]),
    ("unknown_field", "nodes[0].hang_up.colour", [{"id": "a", "hang_up": {"colour": "red"}}]),
    ("too_large", "nodes[0].hang_up.cause", [{"id": "a", "hang_up": {"cause": 400}}]),
    ("too_small", "nodes[0].hang_up.cause", [{"id": "a", "hang_up": {"cause": -1}}]),
    ("too_short", "nodes[0].announcement.announcements", [{"id": "a", "announcement": {"announcements": []}}]),
    ("too_long", "nodes[0].queue.priority", [{"id": "a", "queue": {"queue_id": "q", "priority": "9" * 101}}]),
    ("longer", "nodes[0].queue.priority", [{"id": "a", "queue": {"queue_id": "q", "priority": "9" * 100_000}}]),
    ("control", "nodes[0].queue.priority", [{"id": "a", "queue": {"queue_id": "q", "priority": "\a"}}]),
    ("odd_text", "nodes[0].id", [{"id": "Not an id", "hang_up": {}}]),
    ("not_among", "nodes[0].hang_up.reason", [{"id": "a", "hang_up": {"reason": "tired"}}]),
    ("", "nodes[0].hang_up.cause", [{"id": "a", "hang_up": {"cause": "many"}}]),
]


def refusals(nodes: list[dict[str, Any]]) -> list[Violation]:
    document: dict[str, Any] = {"id": "p", "entry": nodes[0]["id"], "nodes": nodes}
    parsed = parse("plan", document, None, Secret("", ""))
    if parsed.resource is None:
        return list(parsed.violations)
    assert isinstance(parsed.resource, Plan)
    return violations(config(parsed.resource), parsed.resource)


@pytest.mark.parametrize(("kind", "field", "nodes"), ODD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_refuses_a_plan_is_told_with_node_field_and_remedy_in_every_language(
    kind: str, field: str, nodes: list[dict[str, Any]]
) -> None:
    name = f"refused_{kind}" if kind else "refused"
    (violation,) = [each for each in refusals(nodes) if each.field == field and refused(each).kind == name]
    message = pb.Plan(nodes=[pb.PlanNode(id=str(each["id"])) for each in nodes])
    told_in = {language: refusal(violation, message, language) for language in LANGUAGES}
    assert {each.kind for each in told_in.values()} == {name}
    assert all(each.field == field and each.reason and each.mend for each in told_in.values())
    assert {each.node_id for each in told_in.values()} == {nodes[int(field[6])]["id"] if field else ""}
    assert len({each.mend for each in told_in.values()}) == len(LANGUAGES)


def test_every_kind_of_refusal_has_its_words_and_is_seen_here() -> None:
    assert {f"refused_{kind}" for kind in KINDS} | {"refused"} == {kind for kind in texts("en") if kind.startswith("refused")}
    assert {kind for kind, _, _ in ODD} | {"no_number"} == {*KINDS, ""}
    number = refused(Violation("caller_number", "+41215550100 is not a number of this tenant"))
    assert (number.kind, number.values) == ("refused_no_number", {"number": "+41215550100"})


# -- against the clock -------------------------------------------------------------------------------------------------

quarters = st.sampled_from(["00:00", "06:00", "12:00", "12:15", "18:00", "24:00"])
spans = st.tuples(quarters, quarters).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: {"start": pair[0], "end": pair[1]})
weekly = st.builds(lambda span, days: {**span, "weekdays": sorted(days)}, spans, st.sets(st.sampled_from([1, 2, 7]), min_size=1))
dates = st.sampled_from(["2026-01-05", "2026-01-06"])
schedules = st.fixed_dictionaries(
    {
        "id": st.just("s"),
        "ranges": st.lists(weekly, max_size=3),
        "exceptions": st.lists(
            st.fixed_dictionaries({"date": dates, "ranges": st.lists(spans, max_size=2)}),
            max_size=2,
            unique_by=repr,
        ),
        "holidays": st.lists(dates.map(lambda day: {"date": day, "country": "CH"}), max_size=1),
    }
).map(Schedule.model_validate)


def is_open(schedule: Schedule, at: datetime) -> bool:
    """By the words of the schedule: exceptions, then holidays, then the week."""
    time = f"{at:%H:%M}"
    special = next((each for each in schedule.exceptions if each.date == at.date()), None)
    if special is not None:
        return any(each.start <= time < each.end for each in special.ranges)
    if any(each.date == at.date() for each in schedule.holidays):
        return False
    return any(at.isoweekday() in each.weekdays and each.start <= time < each.end for each in schedule.ranges)


@pytest.mark.feature("R-5")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@for_all(schedules, st.lists(schedules, min_size=1, max_size=3))
def test_an_entry_is_shadowed_exactly_when_no_quarter_of_an_hour_is_its_own(schedule: Schedule, before: list[Schedule]) -> None:
    start = datetime.combine(date(2026, 1, 4), datetime.min.time())
    moments = [start + timedelta(minutes=15 * index) for index in range(4 * 24 * 15)]
    own = any(is_open(schedule, at) and not any(is_open(other, at) for other in before) for at in moments)
    assert covered(schedule, before, "Europe/Zurich") is not own
