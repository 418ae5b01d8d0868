"""Over which connection a phone is called."""

from types import SimpleNamespace
from typing import Any

import pytest

from carillon_media.handlers.reach import Reachability
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

pytestmark = pytest.mark.feature("M-13")


def called_over(binding: Binding, *connections: Flow) -> Flow:
    accounts: Any = SimpleNamespace(extension_of=lambda *_: "101", realm_of=lambda _: "dupont.example", devices_of=lambda *_: ["ann"])
    device = SimpleNamespace(tenant="dupont", binding=binding, node="", known_at=0)
    registrar: Any = SimpleNamespace(devices_of=lambda _: [device])
    nobody: Any = None
    reach = Reachability(accounts, lambda: registrar, nobody, nobody, nobody, nobody, connections)
    (contact,) = reach.contacts_of_user("dupont", "ann")
    return contact.flow


def bound(contact: str, ip: str, **fields: Any) -> Binding:
    return Binding(contact=contact, expires_at=9.0, call_id="c", cseq=1, flow=Flow("tcp", ("192.0.2.1", 5060), (ip, 40_000)), **fields)


@pytest.mark.parametrize(
    ("contact", "ip", "port"),
    [
        ("sip:ann@192.0.2.7:5070;transport=tcp", "192.0.2.7", 5070),
        ("sip:ann@192.0.2.7;transport=tcp", "192.0.2.7", 5060),
        ("sip:ann@[2001:db8::7]:5070;transport=tcp", "2001:db8::7", 5070),
        ("sip:ann@10.0.0.7:5070;transport=tcp", "192.0.2.7", 40_000),  # behind a NAT
    ],
)
def test_a_connection_that_is_gone_gives_way_to_one_to_the_contact_unless_a_nat_stands_between(contact: str, ip: str, port: int) -> None:
    binding = bound(contact, ip)
    assert called_over(binding, binding.flow) == binding.flow
    assert called_over(binding).remote == (ip, port)


def test_a_flow_or_a_path_is_never_given_up() -> None:
    for fields in ({"reg_id": 1, "instance": "x"}, {"path": ("<sip:edge.example;lr>",)}):
        binding = bound("sip:ann@192.0.2.7:5070", "192.0.2.7", **fields)
        assert called_over(binding) == binding.flow
