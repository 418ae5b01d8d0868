import pytest

from carillon.directory.v1 import directory_pb2
from carillon_cli.commands.apply import PART, parts
from carillon_cli.company import BadCompany, document, load, normal, request, written
from carillon_cli.demo import company as dupont

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


def test_a_registering_trunk_and_its_password_reach_the_request() -> None:
    trunk = """
trunk_credentials:
  - {id: account, username: 0041215550100, password: 12:34}
trunks:
  - id: carrier
    address: sip.carrier.example
    servers: [{address: 192.0.2.8, priority: 2}]
    registration: {domain: carrier.example}
    trunk_credential_id: account
    dialled_format: {style: national, prepend: 9}
    identity: {from_number: account, asserted: p_preferred_identity, diversion: both}
    ping_seconds: 30
"""
    found = apply_request(GOOD + trunk)
    account, carrier = found.trunk_credentials[0], found.trunks[0]
    assert (account.username, account.password) == ("0041215550100", "12:34")
    assert carrier.servers[0].address == "192.0.2.8:5060"
    assert carrier.dialled_format.style == directory_pb2.TRUNK_NUMBER_STYLE_NATIONAL
    assert carrier.identity.asserted == directory_pb2.TRUNK_ASSERTED_P_PREFERRED_IDENTITY
    assert carrier.identity.diversion == directory_pb2.TRUNK_DIVERSION_BOTH


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("registration: {expires_seconds: 5}", "trunks.0.registration.expires_seconds"),
        ("registration: {}", "trunks.0"),
        ("ping_seconds: 2", "trunks.0"),
        ("identity: {asserted: remote_party_id}", "trunks.0.identity.asserted"),
        ("servers: [{address: 'host:99999'}]", "trunks.0.servers.0.address"),
        ("prices: [{prefix: '+41', per_minute: 0.02}]", "trunks.0.prices.0.per_minute"),
        ("prices: [{prefix: '41', per_minute: 2}]", "trunks.0.prices.0.prefix"),
        ("prices: [{prefix: '+41'}, {prefix: '+41', per_minute: 2}]", "trunks.0"),
    ],
)
def test_a_trunk_that_cannot_be_is_told_by_its_field(fields: str, field: str) -> None:
    assert mistakes(f"tenant: {{id: x, realm: x.example}}\ntrunks:\n  - {{id: c, address: c.example, {fields}}}\n") == [(3, field)]


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
    with pytest.raises(BadCompany, match=r"x.yaml:2: tenant.realm: is missing|x.yaml:1: tenant.realm: is missing"):
        load("tenant:\n  id: a\n", "x.yaml")


@pytest.mark.feature("D-20")
@pytest.mark.parametrize("text", [GOOD, dupont.text()], ids=["good", "dupont"])
def test_what_is_written_is_read_as_the_same_company(text: str) -> None:
    company = load(text, "x.yaml")[1]
    once = normal(company)
    assert normal(document(request(company))) == once
    again = load(written(once), "written.yaml")[1]
    assert normal(again) == once
    assert written(normal(again)) == written(once)


def test_the_one_form_leaves_out_defaults_and_secrets() -> None:
    found = normal(load(GOOD, "x.yaml")[1])
    assert list(found) == ["tenant", "schedules", "users", "sip_credentials", "ring_groups", "extensions"]
    assert found["users"] == [{"id": "dumas", "last_name": "Dumas", "forwarding": {"no_answer": {"mailbox_id": "main"}}}]
    assert found["sip_credentials"] == [{"id": "dumas", "user_id": "dumas"}]
    assert found["extensions"][0]["id"] == "0101"


def test_a_request_is_sent_in_parts_that_are_the_whole() -> None:
    users = [directory_pb2.User(id=f"u{number}", last_name="X") for number in range(PART + 1)]
    whole = directory_pb2.ApplyTenantRequest(tenant=directory_pb2.Tenant(id="x"), users=users, prune=True, reason="why")
    sent = list(parts(whole))
    assert max(len(each.part.users) for each in sent) == PART
    joined = directory_pb2.ApplyTenantRequest()
    for each in sent:
        joined.MergeFrom(each.part)
    assert joined == whole
