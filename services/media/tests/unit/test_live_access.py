"""Who sees a live call, and does what with it: a table of verbs, askers and calls."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from carillon.media.v1 import call_control_pb2 as pb
from carillon_contracts.config import Department, Mailbox, Queue, Resource, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import Principal
from carillon_kit.errors import ApiError, FailedPrecondition, NotFound, PermissionDenied
from carillon_media import grpc_access
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.state import Leg, Parked
from carillon_media.grpc_access import MOST_CALLS, LiveAccess
from carillon_media.grpc_control import CALL_CONTROL_RIGHTS

pytestmark = pytest.mark.feature("P-3")
#: `sales` has `shop` below it.
PEOPLE = {"anna": "sales", "ben": "shop", "sam": "support", "zoe": ""}
ASKERS = {
    "admin": Principal("user/zoe", "dupont", frozenset({"admin"})),
    "sales": Principal("key/1", "dupont", frozenset({"department_admin"}), "sales"),
    "support": Principal("key/2", "dupont", frozenset({"department_admin"}), "support"),
    "desk": Principal("key/3", "dupont", frozenset({"department_admin"}), "desk"),
    **{name: Principal(f"user/{name}", "dupont", frozenset({"user"})) for name in PEOPLE},
}


@pytest.fixture
def accounts() -> Accounts:
    made: list[Resource] = [
        Tenant(id="dupont", realm="dupont.example"),
        *(Department(id=name, parent_id=parent) for name, parent in (("sales", ""), ("shop", "sales"), ("support", ""), ("desk", ""))),
        *(User(id=name, last_name=name, department_id=where) for name, where in PEOPLE.items() if name != "zoe"),
        User(id="zoe", last_name="zoe", mailbox_id="box"),
        Mailbox(id="box", department_id="desk"),
        Queue(id="help", department_id="desk"),
    ]
    resources: dict[str, dict[str, Resource]] = {}
    for each in made:
        resources.setdefault(each.KIND, {})[each.id] = each
    found = Accounts()
    found.update(TenantConfig("dupont").advanced(1, resources))
    return found


def call(*legs: tuple[str, str, str], ways: tuple[str, ...] = (), tenant: str = "dupont", phase: object = None) -> Any:
    """A call with such legs: id, party, state."""
    made = {leg_id: Leg(leg_id, party, "", state) for leg_id, party, state in legs}  # type: ignore[arg-type]
    state = SimpleNamespace(ways=ways, phase=phase)
    facts = SimpleNamespace(tenant=tenant, caller_user_id=legs[0][1])
    return SimpleNamespace(call=SimpleNamespace(facts=facts, legs=made, state=state))


#: Anna talks with Sam, Ben's phone rang; from outside through the queue to Ben, while Sam's phone rings too; Zoe's parked one;
#: out of Zoe's mailbox to Sam.
CALLS = {
    "talk": call(("a", "anna", "answered"), ("b1", "ben", "ended"), ("b2", "sam", "answered")),
    "rings": call(("a", "trunk:carrier", "ringing"), ("b1", "ben", "ringing"), ("b2", "sam", "ringing"), ways=("queue/help",)),
    "queued": call(("a", "trunk:carrier", "answered"), ("b1", "ben", "answered"), ways=("queue/help",)),
    "parked": call(("a", "trunk:carrier", "answered"), phase=Parked("701", "zoe", "t")),
    "unboxed": call(("a", "trunk:carrier", "answered"), ("b1", "sam", "answered"), ways=("mailbox/box",)),
    "theirs": call(("a", "anna", "answered"), ("b1", "ben", "answered"), tenant="martin"),
}


def access_of(who: str, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, principal: Principal | None = None) -> LiveAccess:
    monkeypatch.setattr(grpc_access, "current_principal", lambda: principal or ASKERS[who])
    monkeypatch.setattr(grpc_access, "current_tenant", lambda: "dupont")
    return LiveAccess(CALLS, accounts)


@pytest.mark.parametrize(
    ("name", "seen_by"),
    [
        ("talk", {"anna", "sam", "sales", "support"}),
        ("rings", {"ben", "sam", "sales", "support", "desk"}),
        ("queued", {"ben", "sales", "desk"}),
        ("parked", {"zoe"}),
        ("unboxed", {"sam", "support", "desk"}),
        ("theirs", None),
    ],
)
def test_a_live_call_is_seen_by_those_whose_it_is(name: str, seen_by: set[str] | None, accounts: Accounts, monkeypatch: Any) -> None:
    found = set()
    for who in ASKERS:
        access = access_of(who, accounts, monkeypatch)
        if access.sees(access.reached(), CALLS[name]):
            found.add(who)
    assert found == (set() if seen_by is None else seen_by | {"admin"})


@pytest.mark.parametrize(
    ("rpc", "name", "leg_id", "allowed"),
    [
        ("HangUpCall", "talk", "", {"anna", "sam", "sales", "support"}),
        ("HangUpCall", "rings", "", {"desk"}),
        ("HangUpCall", "queued", "", {"ben", "sales", "desk"}),
        ("HangUpCall", "parked", "", {"zoe"}),
        ("HangUpCall", "unboxed", "", {"sam", "support", "desk"}),
        ("StartRecording", "rings", "", {"desk"}),
        ("StartRecording", "queued", "", {"ben", "sales", "desk"}),
        ("AnswerCall", "rings", "b1", {"ben", "sales"}),
        ("AnswerCall", "rings", "b2", {"sam", "support"}),
        ("HoldLeg", "talk", "a", {"anna", "sales"}),
        ("HoldLeg", "talk", "b2", {"sam", "support"}),
        ("HoldLeg", "talk", "b1", set()),
        ("HoldLeg", "talk", "none", set()),
        ("ConsultTransfer", "queued", "b1", {"ben", "sales"}),
        ("CompleteTransfer", "queued", "a", set()),
        ("TransferCall", "talk", "b2", {"anna", "sales"}),
        ("TransferCall", "talk", "a", {"sam", "support"}),
        ("ParkCall", "queued", "a", {"ben", "sales"}),
        ("ParkCall", "queued", "b1", set()),
        ("SendDigits", "rings", "a", set()),
        ("OpenDoor", "queued", "a", {"ben", "sales"}),
    ],
)
def test_what_is_done_with_a_call(
    rpc: str, name: str, leg_id: str, allowed: set[str], accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = SimpleNamespace(call_id=name, leg_id=leg_id)
    found = set()
    for who in ASKERS:
        with suppress(NotFound):
            access_of(who, accounts, monkeypatch).check(rpc, request)
            found.add(who)
    assert found == allowed | {"admin"}


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("OriginateCall", pb.OriginateCallRequest(user_id="ben", destination="101")),
        ("UnparkCall", pb.UnparkCallRequest(user_id="ben", slot="701")),
        ("PickUpCall", pb.PickUpCallRequest(user_id="ben", rung_user_id="sam")),
        ("SuperviseCall", pb.SuperviseCallRequest(supervisor_user_id="ben", user_id="sam")),
    ],
)
def test_calls_are_made_for_oneself_and_for_ones_people(rpc: str, request_: Any, accounts: Accounts, monkeypatch: Any) -> None:
    found = set()
    for who in ASKERS:
        with suppress(NotFound):
            access_of(who, accounts, monkeypatch).check(rpc, request_)
            found.add(who)
    assert found == {"admin", "sales", "ben"}


@pytest.mark.parametrize(
    "wanted", [{"phone": "+41215550100"}, {"user_id": "ben", "call_id": "01890000-0000-7000-8000-000000000001"}], ids=["phone", "call_id"]
)
def test_a_phone_outside_is_called_and_a_calls_id_chosen_for_the_tenants_admins_alone(
    wanted: dict[str, Any], accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has one record of an id: who may choose it calls unseen."""
    request = pb.OriginateCallRequest(destination="101", **wanted)
    access_of("admin", accounts, monkeypatch).check("OriginateCall", request)
    for who in ("sales", "ben"):
        with pytest.raises(PermissionDenied):
            access_of(who, accounts, monkeypatch).check("OriginateCall", request)


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("OriginateCall", pb.OriginateCallRequest(user_id="ben", destination="101")),
        ("PickUpCall", pb.PickUpCallRequest(user_id="ben")),
        ("ConsultTransfer", pb.ConsultTransferRequest(call_id="queued", leg_id="b1", destination="101")),
    ],
)
def test_people_do_not_have_calls_made_without_end(rpc: str, request_: Any, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    known = CALLS
    others = {f"{number}": call(("a", "ben", "ringing"), tenant="martin") for number in range(MOST_CALLS)}
    own = {f"own {number}": call(("a", "ben", "ringing")) for number in range(MOST_CALLS - 1)}
    monkeypatch.setitem(globals(), "CALLS", known | others | own)
    access_of("ben", accounts, monkeypatch).check(rpc, request_)
    monkeypatch.setitem(globals(), "CALLS", known | {"last": call(("a", "ben", "ringing"))} | own)
    for who in ("ben", "sales"):
        with pytest.raises(FailedPrecondition):
            access_of(who, accounts, monkeypatch).check(rpc, request_)
    access_of("admin", accounts, monkeypatch).check(rpc, request_)


def test_a_rights_profile_that_does_not_name_live_calls_opens_none(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    narrowed = Principal("user/zoe", "dupont", frozenset({"admin"}), rights_profile="gone")
    access = access_of("admin", accounts, monkeypatch, narrowed)
    for attempt in (access.reached, lambda: access.check("HangUpCall", SimpleNamespace(call_id="talk"))):
        with pytest.raises(ApiError, match="rights profile"):
            attempt()


def test_people_record_and_announce_nothing_and_watch_no_events() -> None:
    kept = {rpc for rpc, roles in CALL_CONTROL_RIGHTS.items() if "user" not in roles}
    assert kept == {"PlayToCall", "StartRecording", "StopRecording", "PauseRecording", "ResumeRecording", "WatchCallEvents"}
    assert all("department_admin" in roles for roles in CALL_CONTROL_RIGHTS.values())
