"""Calls of other nodes: what a phone is about that dials a feature, which node its INVITE goes to, and what is forgotten when."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from carillon_contracts.config import RESOURCES, ConfigChanged
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_kit.bus import Message
from carillon_kit.ids import SystemIds
from carillon_media.domain.elsewhere import NodeCall, NodeLeg, NodeNews, Wanted, oldest, wanted
from carillon_media.handlers.crossing import Crossing
from carillon_media.handlers.elsewhere import Elsewhere
from carillon_sip.dialog_info import Participant, WatchedDialog
from carillon_sip.flow import Flow
from carillon_sip.parser import parse_message

pytestmark = pytest.mark.feature("M-5")
COMPANY: dict[str, list[dict[str, Any]]] = {
    "tenant": [{"id": "dupont", "realm": "dupont.example", "country": "CH"}],
    "user": [{"id": each, "last_name": each} for each in ("anne", "bob", "carol")],
    "ring_group": [{"id": "g", "members": [{"user_id": "bob"}, {"external_number": "+41791112233"}]}],
    "extension": [
        {"id": "102", "destination": {"user_id": "bob"}},
        {"id": "200", "destination": {"ring_group_id": "g"}},
        {"id": "201", "destination": {"announcement": {"text": "?"}}},
    ],
    "parking_lot": [{"id": "main", "first_slot": "110", "last_slot": "119"}],
    "pickup_group": [{"id": "all", "user_ids": ["anne", "bob"]}],
}


def company() -> TenantConfig:
    config, seq = TenantConfig("dupont"), 0
    for kind, items in COMPANY.items():
        for item in items:
            seq += 1
            after = RESOURCES[kind].model_validate(item).model_dump(mode="json")
            config = evolve(config, seq, ConfigChanged(resource=kind, resource_id=item["id"], action="created", after=after, actor="t"))
    return config


@pytest.mark.parametrize(
    ("dialled", "what"),
    [
        ("**102", Wanted(ringing={"bob"})),
        ("**200", Wanted(ringing={"bob"})),
        ("**299", Wanted(ringing=set())),
        ("*8", Wanted(ringing={"bob"})),
        ("111", Wanted(slot="111")),
        ("*82102", Wanted(talking="bob")),
        ("*83201", None),
        ("*7", None),
        ("*7111", None),
        ("102", None),
        ("117", None),
        ("112", None),
    ],
)
def test_what_is_meant(dialled: str, what: Wanted | None) -> None:
    assert wanted(company(), "anne", dialled) == what


def call(call_id: str, since: float, **more: Any) -> NodeCall:
    return NodeCall(call_id, "dupont", since, **more)


def test_the_call_that_began_first_is_meant() -> None:
    rings = [call("c2", 2.0, ringing=("bob",)), call("c1", 1.0, ringing=("bob", "carol")), call("c0", 0.0, ringing=("carol",))]
    assert oldest(Wanted(ringing={"bob"}), rings) == rings[1]
    assert oldest(Wanted(talking="bob"), rings) is None
    assert oldest(Wanted(slot="701"), [call("c", 1.0, slot="701")]) is not None


class Bus:
    """Takes what is published; nothing is ever heard but by `heard`."""

    def follow(self, stream: str, subject: str) -> None:
        return None


class House:
    """A node `a` without calls that knows others."""

    def __init__(self) -> None:
        self.peers = {"b": ("127.0.0.2", 5060), "c": ("127.0.0.3", 5060)}
        self.elsewhere = Elsewhere(Bus(), "a", {}, self, SystemIds())  # type: ignore[arg-type]
        self.marked: list[tuple[str, list[str]]] = []
        self.elsewhere.watched = lambda tenant, abouts: self.marked.append((tenant, list(abouts)))
        self.phone = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.9", 6000))
        device = SimpleNamespace(tenant="dupont", user_id="anne", binding=SimpleNamespace(flow=self.phone))
        accounts = SimpleNamespace(config=lambda tenant: company())
        devices = {"anne": [device]}
        self.crossing = Crossing(self.elsewhere, accounts, self, {}, lambda user: devices.get(user, []))  # type: ignore[arg-type,return-value]

    def is_peer(self, address: tuple[str, int]) -> bool:
        return address in self.peers.values()

    def hears(self, node: str, *calls: NodeCall, **more: Any) -> None:
        data = TypeAdapter(NodeNews).dump_json(NodeNews(node, calls, **more))
        self.elsewhere.heard(Message(f"carillon._operator.node.{node}.calls", data, 1))

    def way(self, method: str, dialled: str, *, cseq: int = 1, user: str = "anne", extra: str = "", flow: Flow | None = None) -> Any:
        text = (
            f"{method} sip:{dialled}@dupont.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:6000;branch=z9hG4bK{cseq}\r\n"
            f"From: <sip:{user}@dupont.example>;tag=f\r\nTo: <sip:{dialled}@dupont.example>\r\nCall-ID: x\r\n"
            f"CSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
        )
        return self.crossing.way(parse_message(text.encode()), flow or self.phone)  # type: ignore[arg-type]


def test_an_invite_goes_to_the_node_of_the_call_and_all_that_follows_goes_after_it() -> None:
    house = House()
    house.hears("b", call("c1", 1.0, ringing=("bob",)))
    assert house.way("INVITE", "**102") == ("127.0.0.2", 5060)
    house.hears("b", gone=("c1",))
    for method in ("INVITE", "ACK", "CANCEL"):
        assert house.way(method, "**102") == ("127.0.0.2", 5060)
    assert house.way("INVITE", "**102", cseq=2) is None
    house.hears("b", call("c2", 1.0, ringing=("bob",)))
    assert house.way("INVITE", "**102", cseq=2) is None, "what was ours stays ours"
    assert house.way("ACK", "**102", cseq=3) is None


def test_only_phones_of_this_node_are_passed_on() -> None:
    house = House()
    house.hears("b", call("c1", 1.0, ringing=("bob",)))
    assert house.way("INVITE", "**102", user="mallory") is None
    elsewhere = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.8", 6000))
    assert house.way("INVITE", "**102", flow=elsewhere) is None
    from_node = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.3", 5060))
    assert house.way("INVITE", "**102", flow=from_node) is None


def test_replaces_finds_the_session_whichever_tag_names_it() -> None:
    house = House()
    house.hears("c", call("c1", 1.0, legs=(NodeLeg("s1", "anne"), NodeLeg("s2", "bob"))))
    for cseq, (value, peer) in enumerate(
        [("y;to-tag=s2;from-tag=t", "c"), ("y;to-tag=t;from-tag=s1", "c"), ("y;to-tag=t;from-tag=u", ""), ("broken", "")], 1
    ):
        assert house.way("INVITE", "102", cseq=cseq, extra=f"Replaces: {value}\r\n") == house.peers.get(peer)


def test_calls_are_known_until_they_are_over_or_their_node_is() -> None:
    house, lamp = House(), WatchedDialog("d1", "early", "recipient", Participant("sip:102@dupont.example"))
    house.elsewhere.seen()
    house.hears("b", call("c1", 1.0, dialogs=(("bob", (lamp,)),)), call("c2", 2.0))
    house.hears("c", call("c3", 3.0, slot="701"))
    assert house.elsewhere.dialogs_of("dupont", "bob") == [lamp]
    assert {known.call_id for _, known in house.elsewhere.of("dupont")} == {"c1", "c2", "c3"}
    assert not list(house.elsewhere.of("other"))
    house.hears("b", call("c2", 2.0, slot="702"), whole=True)
    assert ("dupont", ["bob"]) in house.marked
    assert {known.call_id for _, known in house.elsewhere.of("dupont")} == {"c2", "c3"}
    del house.peers["c"]
    house.elsewhere.seen()
    house.peers["c"] = ("127.0.0.3", 5060)
    assert {known.call_id for _, known in house.elsewhere.of("dupont")} == {"c2"}


def test_what_is_not_understood_changes_nothing() -> None:
    house = House()
    house.hears("b", call("c1", 1.0))
    house.elsewhere.heard(Message("carillon._operator.node.b.calls", b'{"node": "b", "calls": 7}', 1))
    house.hears("a", call("c9", 1.0))
    assert [known.call_id for _, known in house.elsewhere.of("dupont")] == ["c1"]


@pytest.mark.feature("D-18")
def test_who_is_unlocked_at_one_node_is_unlocked_at_all() -> None:
    asked, other, unlocked = House(), House(), list[tuple[str, str]]()
    told: list[Any] = []
    asked.elsewhere._announcements = SimpleNamespace(add=told.append)  # type: ignore[assignment]
    other.elsewhere._node = "b"
    for house in (asked, other):
        house.elsewhere.unlocks = lambda account, by: unlocked.append((account, by))
    asked.elsewhere.unlock(["dupont-101", "dupont-102"], "admin@dupont")
    (sent,) = told
    for house in (asked, other):
        house.elsewhere.heard(Message(sent.subject, sent.payload, 1))
    assert unlocked == [("dupont-101", "admin@dupont"), ("dupont-102", "admin@dupont")]
    asked.peers.clear()
    asked.elsewhere.unlock(["dupont-101"], "admin@dupont")
    assert len(told) == 1, "there is nobody to tell"
