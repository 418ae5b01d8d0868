"""Companies and calls as the property tests of routing draw them: every kind of node, destination and field that changes a decision.

Always: references mostly hit, and some do not; `DRAWN` says what is drawn of each shape, so that a test sees what is not.
"""

from typing import Any, get_args

from hypothesis import strategies as st

from carillon_contracts.config import NODE_KINDS, USUAL_CODES, Destination
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.pins import hash_pin
from carillon_routing.domain.facts import CallFacts, Entered, RingResult
from carillon_routing.testing import config_of

RESULTS: tuple[RingResult, ...] = get_args(RingResult)
NUMBERS = ("+41215550100", "+41215550101", "+41791234567", "+33612345678")
nodes = st.sampled_from(["n0", "n1", "n2", "n3"])
#: References mostly hit; some do not.
ids = st.sampled_from(["a", "b", "b", "gone"])
some = st.fixed_dictionaries


def maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some({}, optional=optional)


#: What is drawn of each shape, for `test_every_field_is_drawn`.
DRAWN: dict[str, set[str]] = {}


def one(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    DRAWN[f"node.{kind}"] = set(fields)
    return some(fields).map(lambda found: {kind: found})


def drawn(kind: str, fields: dict[str, st.SearchStrategy[Any]], *always: str) -> st.SearchStrategy[dict[str, Any]]:
    """A resource with any of the fields."""
    DRAWN[kind] = set(fields)
    return some({name: fields[name] for name in always}, optional={name: each for name, each in fields.items() if name not in always})


def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=1, max_size=3)


DESTINATIONS: dict[str, st.SearchStrategy[Any]] = {
    **{kind: ids for kind in Destination.model_fields if kind.endswith("_id")},
    "extension_id": st.sampled_from(["10", "101", "99"]),
    "external_number": st.sampled_from(NUMBERS),
    "announcement": st.just({"text": "x"}),
    "operator": st.just(True),
    "hang_up": st.sampled_from(["normal", "busy", "rejected"]),
}
DESTINATIONS["announcement"] = st.sampled_from([{"text": "x"}, {"audio_id": "a"}])
destinations = st.sampled_from(sorted(DESTINATIONS)).flatmap(lambda kind: DESTINATIONS[kind].map(lambda value: {kind: value}))
ways = maybe(
    **dict.fromkeys((*RESULTS, "gave_up", "otherwise"), nodes),
    causes=st.lists(some({"cause": st.sampled_from([17, 21]), "next": nodes}), max_size=1),
)
variables = st.sampled_from(["vip", "tier"])
texts = many(st.just({"text": "x", "language": "fr"}))
NODES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "destination": one("destination", destination=destinations, ways=ways, ring_seconds=st.just(7)),
    "calendar": one("calendar", entries=many(some({"schedule_id": ids, "next": nodes})), otherwise=nodes),
    "ring_group": one("ring_group", ring_group_id=ids, ways=ways),
    "menu": one("menu", menu_id=ids, keys=st.just([{"key": "3", "next": "n0"}]), no_choice=st.sampled_from(["", "n1"])),
    "mailbox": one("mailbox", mailbox_id=ids),
    "announcement": one("announcement", announcements=texts, next=st.sampled_from(["", "n1"])),
    "hang_up": one("hang_up", reason=st.just("busy"), cause=st.sampled_from([0, 34])),
    "origin": one(
        "origin",
        entries=many(
            some(
                {"next": nodes, "internal": st.just(True)},
                optional={
                    "numbers": st.just(["+41791112233"]),
                    "prefixes": st.just(["+4179"]),
                    "countries": st.just(["CH"]),
                    "origin_zone_id": ids,
                    "withheld": st.booleans(),
                },
            )
        ),
        otherwise=nodes,
    ),
    "caller_list": one("caller_list", caller_list_id=ids, listed=nodes, otherwise=nodes),
    "mode": one("mode", schedule_id=ids, entries=many(some({"mode": st.sampled_from(["day", "night"]), "next": nodes})), otherwise=nodes),
    "limit": one(
        "limit",
        max_calls=st.integers(0, 2),
        max_starts=st.just(3),
        per_seconds=st.just(60),
        counter=st.sampled_from(["", "mine"]),
        within=nodes,
        over=nodes,
    ),
    "queue": one(
        "queue",
        queue_id=ids,
        ways=maybe(**dict.fromkeys(("answered", "full", "left_by_key", "no_agents", "waited_too_long", "otherwise"), nodes)),
        priority=st.sampled_from(["", "7", "{vip}"]),
        skills=st.sampled_from(["", "french:5,{vip}"]),
        skills_for_seconds=st.just(30),
    ),
    "hunt_group": one("hunt_group", hunt_group_id=ids, ways=ways),
    "split": one("split", shares=st.tuples(nodes, nodes).map(lambda p: [{"percent": 30, "next": p[0]}, {"percent": 70, "next": p[1]}])),
    "language": one("language", languages=st.sampled_from([["fr"], ["fr", "de"]]), next=nodes),
    "set_variable": one(
        "set_variable", name=variables, value=st.sampled_from(["yes", "{dialled} {vip}", ""]), source=st.just(""), next=nodes
    ),
    "look_up": one(
        "look_up",
        look_up_table_id=ids,
        source=st.sampled_from(["caller_number", "tier"]),
        longest_prefix=st.booleans(),
        variable=variables,
        found=nodes,
        otherwise=nodes,
    ),
    "switch": one("switch", variable=variables, entries=many(some({"value": st.just("yes"), "next": nodes})), otherwise=nodes),
    "email": one(
        "email",
        recipients=st.just(["a@example.com"]),
        subject=st.just("x"),
        text=st.just("{vip}"),
        next=nodes,
        failed=st.sampled_from(["", "n3"]),
    ),
    "webhook": one(
        "webhook",
        url=st.just("http://a.example/x"),
        timeout_ms=st.just(50),
        variables=st.just(["vip"]),
        next=nodes,
        failed=st.sampled_from(["", "n2"]),
    ),
    "sticky_agent": one(
        "sticky_agent",
        sources=st.just([{"kind": "history"}, {"kind": "contact_owner"}, {"kind": "http", "url": "http://a.example/y"}]),
        reach=st.sampled_from(["extension", "mobile", "both"]),
        except_caller_list_id=st.sampled_from(["", "a"]),
        area_code=st.sampled_from(["", "021"]),
        ring_seconds=st.just(9),
        next=nodes,
    ),
    "sub_plan": one("sub_plan", plan_id=ids, exits=st.just([{"name": "out", "next": "n3"}]), next=st.sampled_from(["", "n1"])),
    "return_to": one("return_to", exit=st.sampled_from(["", "out"])),
}
some_nodes = st.lists(st.sampled_from(NODE_KINDS).flatmap(lambda kind: NODES[kind]), min_size=4, max_size=4)
hours = [{"start": "08:00", "end": "18:00"}]
PIN = hash_pin("1234", "salt")
#: Of what the company says for users who say nothing.
rules: dict[str, st.SearchStrategy[Any]] = {
    "restriction_profile_id": ids,
    "account_code_policy_id": ids,
    "trunk_ids": st.lists(st.sampled_from(["t", "u", "gone"]), max_size=2, unique=True),
}
limits = maybe(**dict.fromkeys(("max_calls", "max_calls_in", "max_calls_out", "max_calls_per_minute"), st.integers(0, 2)))
melodies: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(("hold_music_id", "ringback_music_id", "busy_music_id"), ids)
users = drawn(
    "user",
    {
        **rules,
        **melodies,
        "last_name": st.just("X"),
        "display_name": st.just("Y"),
        "department_id": ids,
        "site_id": ids,
        "language": st.just("de"),
        "ring_seconds": st.just(10),
        "mobile": st.just("+41791234567"),
        "caller_number": st.just("+41215550101"),
        "withhold": st.booleans(),
        "mailbox_id": ids,
        "door_phone": st.just({"open_digits": "*9", "lock_digits": "1"}),
        "services": maybe(**dict.fromkeys(("fixed_line", "mobile", "messaging", "fax", "conference"), st.booleans())),
        "do_not_disturb": st.booleans(),
        "quiet_hours": st.just(hours),
        "recording_policy_id": ids,
        "account_code": st.just("1234"),
        "outbound_pin_hash": st.just(PIN),
        "phone_pin_hash": st.just(PIN),
        "provisioning_profile_id": ids,
        "simultaneous": st.just([{"user_id": "b", "ring_seconds": 5}, {"external_number": "+41791234567"}]),
        "screening": st.lists(
            st.one_of(
                some({"caller_list_id": ids, "passes": st.sampled_from(["always", "never"])}),
                some({"caller_list_id": ids, "passes": st.just("hours"), "hours": st.just(hours)}),
            ),
            max_size=2,
        ),
        "secretary": maybe(except_caller_list_id=ids, except_hours=st.just(hours), ring_seconds=st.just(5)).map(
            lambda found: {"user_id": "b", **found}
        ),
        "forwarding": maybe(
            **dict.fromkeys(("unconditional", "busy", "no_answer", "unreachable"), destinations),
            unconditional_hours=st.just(hours[0]),
            suspended=st.just(["busy"]),
        ),
    },
    "last_name",
)
members = st.one_of(
    ids.map(lambda name: {"user_id": name}),
    st.just({"external_number": "+41791234567"}),
    ids.map(lambda name: {"ring_group_id": name}),
    ids.map(lambda name: {"hunt_group_id": name}),
)
wishes = {"through_do_not_disturb": st.booleans(), "follow_forwarding": st.booleans()}
hunted = st.lists(
    some({"user_id": ids, "permanent": st.booleans()}), min_size=1, max_size=3, unique_by=lambda member: str(member["user_id"])
)
menus = drawn(
    "menu",
    {
        "introduction": texts,
        "prompt": texts,
        "keys": st.tuples(destinations, st.just("de")).map(lambda p: [{"key": "1", "destination": p[0], "language": p[1]}]),
        "extension_dialling": st.booleans(),
        "wrong_key": texts,
        "no_key": texts,
        "timeout_seconds": st.just(3),
        "no_choice": destinations,
        "no_choice_message": texts,
        "schedule_id": ids,
        "out_of_hours": destinations,
        "redirect": destinations,
        "timed_out": destinations,
        "replays": st.integers(0, 1),
        "overall_seconds": st.just(30),
    },
    "prompt",
    "keys",
)
groups = drawn(
    "ring_group",
    {
        **wishes,
        "strategy": st.sampled_from(["parallel", "sequential", "progressive"]),
        "order": st.sampled_from(["priority", "random", "round_robin", "least_called"]),
        "members": many(members),
        "timeout_seconds": st.sampled_from([10, 60]),
        "no_answer": destinations,
        "wrap": st.booleans(),
        "recording_policy_id": ids,
        "ringback_music_id": ids,
    },
    "members",
)
hunts = drawn(
    "hunt_group",
    {
        **wishes,
        "strategy": st.sampled_from(["first_idle", "all_idle"]),
        "members": hunted,
        "ring_seconds": st.just(7),
        "timeout_seconds": st.just(20),
        "no_answer": destinations,
        "all_busy": destinations,
        "ringback_music_id": ids,
    },
    "members",
)
queues = drawn(
    "queue",
    {
        **dict.fromkeys(("full", "waited_too_long", "no_agents", "left_by_key"), destinations),
        "priorities": st.just([{"prefixes": ["+4179"], "priority": 5}]),
    },
)
trunks = drawn(
    "trunk",
    {
        "address": st.just("192.0.2.1"),
        "prefixes": st.sampled_from([[], ["+41"], ["+"]]),
        "priority": st.integers(0, 1),
        "prices": st.just([{"prefix": "+", "per_minute": 7}]),
        "short_ranges": st.just([{"first": "7000", "last": "7999"}]),
        "identity": st.just({"diversion": "both", "from_number": "account"}),
        **dict.fromkeys(("max_calls", "max_calls_in", "max_calls_out", "max_calls_per_second"), st.integers(0, 2)),
    },
    "address",
)
tenants = drawn(
    "tenant",
    {
        **melodies,
        "country": st.sampled_from(["CH", "BE"]),
        "time_zone": st.just("America/New_York"),
        "language": st.just("fr"),
        "caller_languages": st.just(["fr", "de"]),
        "main_number": st.just("+41215550100"),
        "feature_codes": st.sampled_from([[{"feature": "operator", "code": "9"}], [{"feature": "call_back", "code": ""}]]),
        "pickup_scope": st.sampled_from(["tenant", "group"]),
        "recording_policy_id": ids,
        "operator": destinations,
        "limits": limits,
        "subscription": some({"suspended": st.booleans(), "recording": st.booleans()}),
    },
)
departments = drawn(
    "department", {**rules, "site_id": ids, "main_number": st.just("+41215550101"), "operator": destinations, "limits": limits}
)
sites = drawn(
    "site",
    {
        "country": st.just("FR"),
        "area_code": st.just("21"),
        "time_zone": st.just("Asia/Tokyo"),
        "language": st.just("nl"),
        "main_number": st.just("+41215550101"),
        "operator": destinations,
    },
)
schedules = drawn(
    "schedule",
    {
        "time_zone": st.just("Pacific/Kiritimati"),
        "ranges": st.just([{**hours[0], "weekdays": [1, 3]}]),
        "exceptions": st.just([{"date": "2026-01-06"}]),
        "holidays": st.just([{"date": "2026-01-05", "country": "CH"}]),
        "mode": st.sampled_from(["automatic", "day", "night", "lunch", "closed"]),
    },
)
own_numbers = drawn(
    "number",
    {
        "destination": destinations,
        "number_group_id": ids,
        "department_id": ids,
        "ringback_music_id": ids,
        "fax_destination": st.just({"fax_box_id": "a"}),
        "service": st.sampled_from(["voice", "fax"]),
    },
)
FIXED: dict[str, Any] = {
    "mailboxes": [{"id": "a"}],
    "conference_rooms": [{"id": "a"}],
    "fax_boxes": [{"id": "a"}],
    "caller_lists": [{"id": "a", "callers": [{"prefix": "+4179", "label": "mobiles"}]}, {"id": "b", "withheld": True}],
    "origin_zones": [{"id": "a", "prefixes": ["+4121"], "countries": ["FR"]}],
    "look_up_tables": [{"id": "a", "rows": [{"key": "+41791112233", "value": "yes"}]}],
    "restriction_profiles": [
        {"id": "a", "barred": ["international", "internal"], "pin_needed": ["mobile"], "allowed_prefixes": ["+336"]},
        {"id": "b", "denied_prefixes": ["+33"]},
    ],
    "account_code_policies": [
        {"id": "a", "needed": ["mobile"], "codes": [{"code": "1234", "label": "x"}], "validated": True, "blocked_after": 3},
        {"id": "b", "needed": ["mobile", "international", "internal"]},
    ],
    "extensions": [{"id": "10", "destination": {"user_id": "a"}}, {"id": "101", "destination": {"hunt_group_id": "a"}}],
    "provisioning_profiles": [{"id": "a", "call_waiting": False}],
    "parking_lots": [{"id": "a", "first_slot": "700", "last_slot": "702", "no_answer": {"user_id": "b"}, "paging_group_id": "a"}],
    "pickup_groups": [{"id": "a", "user_ids": ["a", "b"]}],
    "paging_groups": [{"id": "a", "number": "800", "user_ids": ["a", "b"], "allowed_user_ids": ["a"]}],
    "supervisions": [{"id": "a", "supervisor_user_ids": ["a"], "user_ids": ["b"], "modes": ["listen", "whisper", "barge"]}],
    "agents": [{"id": "a", "user_id": "a"}],
    "recording_policies": [
        {"id": "a", "mode": "always", "announcement": [{"text": "Recorded"}], "sides": "called"},
        {"id": "b", "mode": "on_demand"},
    ],
    "contacts": [{"id": "a", "last_name": "C", "owner_user_id": "a", "phone": "+41791112233"}],
    "short_codes": [{"id": "a", "code": "77", "number": "+41791234567"}],
    "emergency_recipients": [{"id": "a", "emails": ["a@example.com"], "phones": ["+41791234567"]}],
}


def pair(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(each, each)


PAIRS = {"users": users, "ring_groups": groups, "hunt_groups": hunts, "queues": queues, "menus": menus, "schedules": schedules}
PAIRS |= {"departments": departments, "sites": sites, "number_groups": some({"destination": destinations})}


def companies() -> st.SearchStrategy[TenantConfig]:
    return st.builds(
        lambda pairs, tenant, plans, lines, house, own: config_of(
            {
                **FIXED,
                **{kind: _named(found) for kind, found in pairs.items()},
                "tenant": {"id": "acme", "realm": "acme.example", **tenant},
                "house_rule_sets": [{"id": "default", **house}],
                "plans": [{"id": name, "entry": "n0", "nodes": _named(found, "n")} for name, found in zip("ab", plans, strict=True)],
                "trunks": [{"id": name, **line} for name, line in zip("tu", lines, strict=False)],
                "numbers": [
                    {"id": "+41215550100", **own[0], "destination": {"plan_id": "a"}, "number_group_id": ""},
                    {"id": "+41215550101", **own[1]},
                ],
            }
        ),
        st.fixed_dictionaries({kind: pair(each) for kind, each in PAIRS.items()}),
        tenants,
        pair(some_nodes),
        st.lists(trunks, max_size=2),
        some({}, optional={**rules, "extensions_for_numbers": st.booleans()}),
        pair(own_numbers.map(lambda found: found if "destination" not in found else {**found, "number_group_id": ""})),
    )


def _named(found: Any, prefix: str = "") -> list[dict[str, Any]]:
    return [{"id": f"{prefix}{index}" if prefix else "ab"[index], **each} for index, each in enumerate(found)]


codes = [f"{code}{argument}" for code in USUAL_CODES.values() for argument in ("", "10", "101", "10#", "0791234567", "700")]
calls = st.one_of(
    st.builds(
        CallFacts,
        st.just("acme"),
        st.just("c"),
        st.just("inbound"),
        st.sampled_from(["+41215550100", "+41215550100", "+41215550101", "7001", "101"]),
        st.sampled_from(["", "+41791112233", "+33612345678", "7002"]),
        trunk_id=st.sampled_from(["", "t", "u"]),
    ),
    st.builds(
        CallFacts,
        st.just("acme"),
        st.just("c"),
        st.just("from_user"),
        st.sampled_from(["10", "101", "144", "0791234567", "+33612345678", "800", "700", "7001", "77", "9", "+41215550100"])
        | st.sampled_from(codes),
        st.just("10"),
        caller_user_id=st.sampled_from(["a", "b"]),
        sip_credential_id=st.sampled_from(["", "p"]),
        hops_spent=st.sampled_from([0, 0, 199]),
    ),
)
entered = st.sampled_from(
    [
        *([{}] * 6),
        {"variables.vip": "7", "transferred_by": "b", "stays": "b", "recorded_by": "a"},
        {"deflected_by": "b"},
        {"heard": "cng"},
        {"look_up": "1"},
        {"look_up": "emergency_notice"},
        {"emergency_notice": "o"},
    ]
).map(Entered)
