"""Messages and documents are one another's mirror, for every kind of resource."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import NODE_KINDS, OUTPUT_ONLY, RESOURCES, SECRET_FIELDS
from carillon_directory.adapters.proto_mapping import mask_error, mask_paths, to_document, to_message
from carillon_directory.domain.documents import dump
from carillon_directory.testing import given

MESSAGES: dict[str, Any] = {kind: getattr(pb, "".join(part.capitalize() for part in kind.split("_"))) for kind in RESOURCES}
#: What no message has.
HIDDEN = {kind: {name for kept in plain.values() for name in kept} for kind, plain in SECRET_FIELDS.items()}
#: What no model has: secrets on their way in, and what the directory works out.
COMPUTED = {"tenant": {"config_seq"}, "number_block": {"size", "in_use"}}
#: Every field of a trunk.
TRUNKS = {
    "trunk_credentials": [{"id": "account", "username": "acme", "realm": "carrier.example", "sealed_password": "c2VhbGVk"}],
    "trunks": [
        {
            "id": "registering",
            "address": "sip.carrier.example",
            "transport": "tls",
            "servers": [{"address": "192.0.2.8", "transport": "tcp", "priority": 2}],
            "registration": {"domain": "carrier.example", "expires_seconds": 300, "default_number": "+41215550900"},
            "trunk_credential_id": "account",
            "dialled_format": {"style": "national", "prepend": "9"},
            "caller_format": {"style": "plain"},
            "incoming": {"strip_digits": 2, "prepend": "+41"},
            "identity": {"from_number": "account", "asserted": "p_preferred_identity", "diversion": "history_info"},
            "ping_seconds": 30,
            "silence_seconds": 3,
            "max_calls": 10,
            "max_calls_per_second": 2,
            "media_networks": ["198.51.100.0/24"],
            "prices": [{"prefix": "+4179", "per_minute": 1250}, {"prefix": "+"}],
        }
    ],
}
#: Every field of what phones can do by code.
FEATURES = {
    "pickup_groups": [{"id": "sales", "display_name": "Sales", "user_ids": ["ann", "bob"]}],
    "paging_groups": [{"id": "hall", "number": "01", "user_ids": ["ann"], "allowed_user_ids": ["bob"]}],
    "supervisions": [
        {"id": "s", "supervisor_user_ids": ["ann"], "user_ids": ["bob"], "modes": ["listen", "barge"]},
        {"id": "floor", "supervisor_user_ids": ["ann"], "queue_ids": ["sales"]},
    ],
    "parking_lots": [
        {
            "id": "main",
            "first_slot": "701",
            "last_slot": "720",
            "recall_seconds": 60,
            "recall_ring_seconds": 20,
            "no_answer": {"user_id": "ann"},
            "paging_group_id": "hall",
        }
    ],
}

#: Every kind of node, and what they need.
CALL_ROUTING: dict[str, Any] = {
    "hunt_groups": [
        {
            "id": "hunters",
            "members": [{"user_id": "ann", "permanent": True}],
            "all_busy": {"mailbox_id": "box"},
            "through_do_not_disturb": True,
            "follow_forwarding": True,
        }
    ],
    "ring_groups": [
        {
            "id": "team",
            "members": [{"ring_group_id": "inner", "ring_seconds": 30}, {"hunt_group_id": "hunters"}],
            "through_do_not_disturb": True,
            "follow_forwarding": True,
        },
        {"id": "inner", "members": [{"user_id": "ann"}]},
    ],
    "look_up_tables": [{"id": "vip", "rows": [{"key": "+41215550909", "value": "gold"}]}],
    "plans": [
        {
            "id": "main",
            "entry": "origin",
            "past_calls": {"max_calls": 5000, "max_elsewhere": 0},
            "nodes": [
                {"id": "origin", "origin": {"entries": [{"countries": ["CH"], "withheld": True, "next": "limit"}], "otherwise": "bye"}},
                {"id": "limit", "limit": {"max_calls": 2, "max_starts": 5, "per_seconds": 60, "within": "split", "over": "bye"}},
                {"id": "split", "split": {"shares": [{"percent": 30, "next": "language"}, {"percent": 70, "next": "find"}]}},
                {"id": "language", "language": {"languages": ["fr", "en"], "next": "set"}},
                {"id": "set", "set_variable": {"name": "product", "value": "shoes", "next": "switch"}},
                {"id": "find", "look_up": {"look_up_table_id": "vip", "variable": "rank", "found": "switch", "otherwise": "hook"}},
                {"id": "switch", "switch": {"variable": "rank", "entries": [{"value": "gold", "next": "agent"}], "otherwise": "hunt"}},
                {"id": "agent", "sticky_agent": {"sources": [{"kind": "history", "days": 7}], "reach": "both", "next": "hunt"}},
                {"id": "hook", "webhook": {"url": "https://crm.example/x", "variables": ["rank"], "next": "mail", "failed": "bye"}},
                {
                    "id": "mail",
                    "email": {"recipients": ["a@acme.example"], "subject": "Call", "text": "{caller_number}", "next": "mode"},
                },
                {"id": "mode", "mode": {"schedule_id": "day", "entries": [{"mode": "night", "next": "sub"}], "otherwise": "hunt"}},
                {"id": "sub", "sub_plan": {"plan_id": "part", "exits": [{"name": "no", "next": "bye"}], "next": "hunt"}},
                {
                    "id": "hunt",
                    "hunt_group": {
                        "hunt_group_id": "hunters",
                        "ways": {"causes": [{"cause": 21, "next": "bye"}], "congested": "bye", "rejected": "bye", "gave_up": "mail"},
                    },
                },
                {"id": "bye", "hang_up": {"reason": "busy", "cause": 34}},
            ],
        },
        {"id": "part", "entry": "back", "nodes": [{"id": "back", "return_to": {"exit": "no"}}]},
    ],
}
#: Every field of queues and of a plan's life before it is active.
QUEUES = {
    "agents": [{"id": "ann", "display_name": "Ann", "user_id": "ann", "skills": [{"name": "french", "level": 7}]}],
    "queues": [
        {
            "id": "sales",
            "department_id": "trade",
            "through_do_not_disturb": True,
            "hold_music_id": "jazz",
            "strategy": "fewest_calls",
            "members": [{"agent_id": "ann", "tier": 2}],
            "skills": [{"name": "french", "min_level": 5, "widenings": [{"after_seconds": 30, "min_level": 2}]}],
            "priorities": [{"prefixes": ["+4179"], "priority": 3}],
            "max_size": 10,
            "max_wait_seconds": 300,
            "ring_seconds": 12,
            "wrap_up_seconds": 20,
            "missed_offers_to_pause": 2,
            "leave_without_agents": True,
            "leave_key": "*",
            "callback_key": "1",
            "full": {"hang_up": "busy"},
            "waited_too_long": {"mailbox_id": "box"},
            "no_agents": {"mailbox_id": "box"},
            "left_by_key": {"user_id": "ann"},
            "announcements": {"welcome": [{"text": "Welcome"}], "every_seconds": 20, "position": True, "estimated_wait": True},
            "callback": {
                "offer_after_seconds": 60,
                "offer": [{"text": "Press 1"}],
                "tries": 2,
                "pause_seconds": 30,
                "expires_seconds": 3600,
            },
        }
    ],
    "plan_drafts": [{"id": "d", "plan_id": "main", "entry": "a", "nodes": [{"id": "a", "hang_up": {"reason": "busy"}}]}],
    "plan_tests": [
        {
            "id": "t",
            "plan_id": "main",
            "caller": "+41791112233",
            "dialled": "+41215550900",
            "at": "2026-03-02T10:15",
            "keys": ["1", ""],
            "busy_user_ids": ["ann"],
            "modes": [{"schedule_id": "day", "mode": "night"}],
            "results": [{"user_id": "bob", "result": "rejected"}, {"external_number": "+41791112233", "result": "no_answer"}],
            "queue_result": "full",
            "comes_by": ["plan/main", "user/bob"],
            "reaches": {"user_id": "bob"},
        }
    ],
}


#: Every field of what is heard.
SOUNDS = {
    "audios": [
        {
            "id": "welcome",
            "display_name": "Bienvenue",
            "purpose": "music",
            "language": "fr-CH",
            "object": "sha256-" + "0" * 64,
            "wide_object": "sha256-" + "1" * 64,
            "duration_ms": 1500,
            "text": "Bienvenue.",
            "rights_confirmed_by": "elise",
            "rights_confirmed_at": "2026-03-02T10:00:00Z",
        }
    ],
    "playlists": [{"id": "jazz", "tracks": [{"audio_id": "welcome"}], "order": "shuffled", "resume": "continue"}],
    "recording_policies": [
        {
            "id": "sales",
            "mode": "on_demand",
            "announcement": [{"audio_id": "welcome"}],
            "tone": True,
            "stereo": True,
            "sides": "caller",
            "retention_days": 90,
            "key": "*2",
        }
    ],
    "conference_rooms": [
        {
            "id": "board",
            "announcement": "name",
            "recording": True,
            "period_from": "2026-03-02T10:00:00Z",
            "period_to": "2026-04-02T10:00:00Z",
            "max_parties": 3,
            "emails": ["elise@dupont.example"],
            "music_id": "jazz",
        }
    ],
}


@pytest.mark.feature("P-1")
@pytest.mark.feature("R-2")
@pytest.mark.parametrize("kind", RESOURCES)
def test_a_resource_is_its_message_and_back(whole: dict[str, Any], kind: str) -> None:
    trunks = {**TRUNKS, "trunks": TRUNKS["trunks"] + whole["trunks"]}
    for resource in given(whole | FEATURES | CALL_ROUTING | QUEUES | SOUNDS | trunks).resources[kind].values():
        message: Message = to_message(dump(resource), MESSAGES[kind])
        document = to_document(message)
        hidden = HIDDEN.get(kind, set())
        expected = {name: value for name, value in dump(resource).items() if name not in hidden}
        again = RESOURCES[kind].model_validate(document)
        assert {name: value for name, value in dump(again).items() if name not in hidden} == expected


def test_enum_values_lose_and_regain_their_prefix() -> None:
    group = pb.RingGroup(id="g", strategy=pb.RING_STRATEGY_SEQUENTIAL, no_answer=pb.Destination(hang_up=pb.HANG_UP_REASON_BUSY))
    document: dict[str, JsonValue] = {"id": "g", "strategy": "sequential", "no_answer": {"hang_up": "busy"}}
    assert to_document(group) == document
    assert to_message(document, pb.RingGroup) == group


def test_what_is_set_to_nothing_is_told_from_what_is_not_set() -> None:
    assert to_document(pb.PlanNode(id="a", hang_up=pb.HangUpNode())) == {"id": "a", "hang_up": {}}
    assert to_document(pb.Menu(id="m", replays=0)) == {"id": "m", "replays": 0}
    assert to_document(pb.Menu(id="m")) == {"id": "m"}
    assert to_document(pb.Destination(user_id="")) == {"user_id": ""}


def test_a_plan_may_have_every_kind_of_node() -> None:
    """But those that need what is not there yet."""
    nodes = {kind for plan in CALL_ROUTING["plans"] for node in plan["nodes"] for kind in node if kind != "id"}
    elsewhere = {"destination", "calendar", "ring_group", "menu", "mailbox", "announcement", "queue", "caller_list"}
    assert nodes | elsewhere == set(NODE_KINDS)
    assert {field.name for field in pb.PlanNode.DESCRIPTOR.fields} == {*NODE_KINDS, "id"}


def fields_of(descriptor: Descriptor) -> set[str]:
    return {field.name for field in descriptor.fields}


@pytest.mark.parametrize("kind", RESOURCES)
def test_models_and_messages_have_the_same_fields(kind: str) -> None:
    only_model = HIDDEN.get(kind, set())
    only_message = {*SECRET_FIELDS.get(kind, ()), *COMPUTED.get(kind, ())}
    assert set(COMPUTED.get(kind, ())) | {"etag"} == OUTPUT_ONLY & fields_of(MESSAGES[kind].DESCRIPTOR), "others read it as theirs"
    assert set(RESOURCES[kind].model_fields) - only_model == fields_of(MESSAGES[kind].DESCRIPTOR) - only_message


def _shapes(model: type[BaseModel], descriptor: Descriptor) -> Iterator[tuple[type[BaseModel], Descriptor]]:
    """A model with its message, and all that are in them."""
    found = {(model, descriptor.full_name): descriptor}
    left = [(model, descriptor)]
    while left:
        here, message = left.pop()
        yield here, message
        for name, field in here.model_fields.items():
            inner, below = _model_in(field.annotation), message.fields_by_name.get(name)
            if inner is None or below is None or below.message_type is None or (inner, below.message_type.full_name) in found:
                continue
            found[inner, below.message_type.full_name] = below.message_type
            left.append((inner, below.message_type))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)


@pytest.mark.parametrize("kind", RESOURCES)
def test_what_is_not_on_the_wire_is_what_nobody_said(kind: str) -> None:
    """A field without presence has nothing for its default, or nothing is not allowed there: else an export would lose it."""
    for model, message in _shapes(RESOURCES[kind], MESSAGES[kind].DESCRIPTOR):
        for name, field in model.model_fields.items():
            here = message.fields_by_name.get(name)
            if here is None or here.has_presence or here.enum_type is not None or field.is_required():
                continue
            nothing: Any = () if here.is_repeated else here.default_value
            if field.get_default(call_default_factory=True) == nothing:
                continue
            with pytest.raises(ValidationError):
                TypeAdapter(field.rebuild_annotation()).validate_python(nothing)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("forwarding.busy.user_id", ""),
        ("last_name", ""),
        ("surname", "no field 'surname'"),
        ("last_name.x", "no field 'x'"),
        ("", "no field ''"),
        ("forwarding.", "no field ''"),
    ],
)
def test_a_mask_path_is_one_of_the_message(path: str, reason: str) -> None:
    assert mask_error(path, pb.User.DESCRIPTOR) == reason


def test_a_mask_path_does_not_go_into_a_list() -> None:
    assert mask_error("members", pb.RingGroup.DESCRIPTOR) == ""
    assert mask_error("members.user_id", pb.RingGroup.DESCRIPTOR) == "a list is replaced as a whole"


@pytest.mark.parametrize(
    ("given_paths", "message", "paths"),
    [
        ((), pb.User(id="a", etag="3", first_name="A"), ("first_name",)),
        (("email",), pb.User(id="a", first_name="A"), ("email",)),
        (("id", "etag"), pb.User(id="a"), ()),
        (("*",), pb.SipCredential(id="a"), ("user_id", "home_user_id")),
        (("*",), pb.SipCredential(id="a", password="x"), ("user_id", "password", "home_user_id")),
    ],
)
def test_an_update_touches_what_its_mask_says(given_paths: tuple[str, ...], message: Message, paths: tuple[str, ...]) -> None:
    assert mask_paths(given_paths, message) == paths


@pytest.mark.parametrize("kind", [kind for kind in RESOURCES if kind != "tenant"])
def test_every_list_can_be_filtered_ordered_and_scoped(kind: str) -> None:
    plural = "".join(part.capitalize() for part in RESOURCES[kind].PLURAL.split("_"))
    assert {"filter", "order_by", "scope", "as_of"} <= fields_of(getattr(pb, f"List{plural}Request").DESCRIPTOR)
