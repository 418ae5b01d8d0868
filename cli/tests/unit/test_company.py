import pytest

from carillon.directory.v1 import directory_pb2
from carillon_cli.company import BadCompany, load, request

pytestmark = pytest.mark.feature("P-6")

GOOD = """
tenant:
  id: dupont
  realm: dupont.example
  main_number: +41215550100
users:
  - id: dumas
    last_name: Dumas
    ring_seconds: 20
    forwarding:
      no_answer: {mailbox_id: main}
schedules:
  - id: office
    ranges:
      - {weekdays: [1, 2], start: 08:00, end: 12:00}
    exceptions:
      - {date: 2026-08-01, label: no}
extensions:
  - {id: 0101, destination: {user_id: dumas}}
ring_groups:
  - id: sales
    strategy: parallel
    members: [{user_id: dumas}]
sip_credentials:
  - {id: dumas, user_id: dumas, password: secret}
"""


def apply_request(text: str) -> directory_pb2.ApplyTenantRequest:
    return request(load(text, "x.yaml")[1])


def mistakes(text: str) -> list[tuple[int, str]]:
    with pytest.raises(BadCompany) as refused:
        load(text, "x.yaml")
    return [(mistake.line, mistake.field) for mistake in refused.value.mistakes]


def test_plain_scalars_mean_what_they_look_like() -> None:
    found = apply_request(GOOD)
    assert found.tenant.main_number == "+41215550100"
    assert found.extensions[0].id == "0101"
    assert found.schedules[0].ranges[0].end == "12:00"
    assert found.schedules[0].exceptions[0].date == "2026-08-01"
    assert found.schedules[0].exceptions[0].label == "no"


def test_enums_nested_destinations_and_passwords_reach_the_request() -> None:
    found = apply_request(GOOD)
    assert found.ring_groups[0].strategy == directory_pb2.RING_STRATEGY_PARALLEL
    assert found.users[0].forwarding.no_answer.mailbox_id == "main"
    assert found.sip_credentials[0].password == "secret"


def test_a_field_that_is_not_given_is_not_sent() -> None:
    assert not apply_request(GOOD).users[0].HasField("forwarding") or not apply_request(GOOD).users[0].forwarding.HasField("busy")
    assert apply_request(GOOD).tenant.country == ""


def test_each_mistake_is_told_with_its_line_and_field() -> None:
    text = GOOD.replace("ring_seconds: 20", "ring_seconds: 5").replace("end: 12:00", "end: 07:00").replace("label: no", "labe: no")
    assert mistakes(text) == [(9, "users.0.ring_seconds"), (15, "schedules.0.ranges.0"), (17, "schedules.0.exceptions.0.labe")]


def test_an_unknown_section_is_refused_with_its_line() -> None:
    assert mistakes("tenant: {id: a, realm: b}\nuser:\n  - {id: x}\n") == [(2, "user")]


def test_a_key_that_stands_twice_is_refused() -> None:
    assert mistakes("tenant:\n  id: a\n  realm: b\n  id: c\n") == [(4, "tenant.id")]


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    assert mistakes("tenant:\n  id: [a\nusers: b\n")[0][0] == 3


def test_a_missing_tenant_is_a_mistake() -> None:
    assert mistakes("users: []\n") == [(1, "tenant")]


def test_aliases_are_refused_so_that_a_small_file_cannot_grow() -> None:
    assert mistakes("tenant: &a {id: a, realm: b}\nusers: [*a, *a]\n") == [(1, "")]


def test_the_message_reads_file_line_field_reason() -> None:
    with pytest.raises(BadCompany, match=r"x.yaml:2: tenant.realm: Field required|x.yaml:1: tenant.realm: Field required"):
        load("tenant:\n  id: a\n", "x.yaml")
