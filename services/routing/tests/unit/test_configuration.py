"""The fold of stream CONFIG, with its former versions."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from carillon_contracts.config import ConfigChanged, Number
from carillon_contracts.config.changes import MANY_CHANGED
from carillon_contracts.envelope import Event
from carillon_contracts.streams import config_subject
from carillon_kit.bus import Message
from carillon_kit.clock import ManualClock
from carillon_kit.errors import NotFound
from carillon_routing.projections import configuration as module
from carillon_routing.projections.configuration import Configuration, config_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TENANT = {"id": "acme", "realm": "acme.example"}


def message(seq: int, change: ConfigChanged, *, tenant: str = "acme", at: datetime = NOON) -> Message:
    event = Event(
        id=UUID(int=seq),
        source="carillon/directory",
        type=change.event_type,
        subject=f"{change.resource}/{change.resource_id}",
        time=at,
        data=change.model_dump(mode="json"),
        tenantid=tenant,
        configseq=seq,
    )
    return Message(config_subject(tenant, change.resource, change.action), event.to_json(), seq)


def number(label: str) -> ConfigChanged:
    after = {"id": "+41215550100", "label": label}
    return ConfigChanged(resource="number", resource_id="+41215550100", action="updated", after=after, actor="test")


def tenant() -> ConfigChanged:
    return ConfigChanged(resource="tenant", resource_id="acme", action="created", after=TENANT, actor="test")


def together(first: int, *changes: ConfigChanged) -> Message:
    last = first + len(changes) - 1
    data = {"first": first, "changes": [change.model_dump(mode="json") for change in changes]}
    event = Event(id=UUID(int=last), source="x", type=MANY_CHANGED, subject="number", time=NOON, data=data, tenantid="acme", configseq=last)
    return Message(config_subject("acme", "number", "updated"), event.to_json(), last)


def folded(*messages: Message, clock: ManualClock | None = None) -> Configuration:
    configuration = Configuration(clock or ManualClock(NOON))
    for one in messages:
        configuration.apply(one)
    return configuration


def label(configuration: Configuration, seq: int | None = None) -> str:
    config = configuration.current("acme") if seq is None else configuration.at("acme", seq)
    assert config is not None
    found = config.get(Number, "+41215550100")
    assert found is not None
    return found.label


def test_nothing_is_known_before_the_first_event() -> None:
    assert folded().current("acme") is None
    assert folded().at("acme", 3) is None


def test_the_newest_version_is_current_and_former_ones_are_kept() -> None:
    configuration = folded(message(1, tenant()), message(2, number("a")), message(3, number("b")))
    assert label(configuration) == "b"
    assert label(configuration, 2) == "a"
    assert label(configuration, 3) == "b"


def test_a_repeated_event_changes_nothing() -> None:
    configuration = folded(
        message(1, tenant()), message(2, number("a")), message(3, number("b")), message(2, number("a")), message(1, tenant())
    )
    assert label(configuration) == "b"
    assert label(configuration, 2) == "a"


@pytest.mark.feature("R-24")
def test_a_former_version_is_kept_for_an_hour_after_it_was_replaced() -> None:
    clock = ManualClock(NOON)
    configuration = folded(message(1, tenant()), message(2, number("a")), message(3, number("b")), clock=clock)
    clock.advance(3500)
    configuration.apply(message(4, number("c"), at=clock.now()))
    assert label(configuration, 2) == "a"
    clock.advance(200)
    configuration.apply(message(5, number("d"), at=clock.now()))
    assert label(configuration, 3) == "b"
    found = configuration.at("acme", 2)
    assert found is not None
    assert found.seq == 5


def test_former_versions_are_bounded_in_number() -> None:
    messages = [message(1, tenant()), *(message(seq, number(str(seq))) for seq in range(2, module.KEEP_VERSIONS + 50))]
    configuration = folded(*messages)
    found = configuration.at("acme", 2)
    assert found is not None
    assert found.seq == module.KEEP_VERSIONS + 49
    assert label(configuration, module.KEEP_VERSIONS) == str(module.KEEP_VERSIONS)


def test_an_event_that_comes_too_early_waits_for_the_missing_one() -> None:
    configuration = folded(message(1, tenant()), message(3, number("b")), message(4, number("c")))
    current = configuration.current("acme")
    assert current is not None
    assert current.seq == 1
    configuration.apply(message(2, number("a")))
    assert label(configuration) == "c"
    assert label(configuration, 3) == "b"


def test_a_tenant_whose_own_document_is_not_there_is_not_found() -> None:
    assert config_of(folded(message(1, tenant())), "acme").seq == 1
    for configuration in (folded(), folded(message(1, number("a")))):
        with pytest.raises(NotFound):
            config_of(configuration, "acme")


def test_a_deleted_tenant_s_time_is_utc() -> None:
    zoned = ConfigChanged(resource="tenant", resource_id="acme", action="created", after=TENANT | {"time_zone": "Asia/Tokyo"}, actor="test")
    gone = ConfigChanged(resource="tenant", resource_id="acme", action="deleted", before=TENANT, actor="test")
    assert folded(message(1, zoned)).zone("acme").key == "Asia/Tokyo"
    assert folded(message(1, zoned), message(2, gone)).zone("acme").key == "UTC"


def test_what_cannot_be_read_is_passed_over_and_stops_nothing() -> None:
    broken = number("x").model_copy(update={"after": {"id": "+41215550100", "label": 7}})
    configuration = folded(
        message(1, tenant()),
        message(2, number("a")),
        Message("carillon.acme.config.number.updated", b"{", 3),
        message(3, broken),
        message(4, ConfigChanged(resource="fax_box", resource_id="f", action="created", after={"id": "f"}, actor="test")),
        message(5, ConfigChanged(resource="number", resource_id="+41215550101", action="created", after={"id": "+41215550101"}, actor="t")),
    )
    current = configuration.current("acme")
    assert current is not None
    assert current.seq == 5
    assert label(configuration) == "a"
    assert set(current.numbers) == {"+41215550100", "+41215550101"}


def test_an_event_under_another_tenants_subject_is_not_believed() -> None:
    honest = message(1, tenant())
    configuration = folded(Message("carillon.evil.config.tenant.created", honest.data, 1))
    assert configuration.current("acme") is None
    assert configuration.current("evil") is None


def test_tenants_do_not_mix() -> None:
    other = ConfigChanged(resource="tenant", resource_id="b", action="created", after={"id": "b", "realm": "b.example"}, actor="t")
    configuration = folded(message(1, tenant()), message(1, other, tenant="b"), message(2, number("a")))
    found = configuration.current("b")
    assert found is not None
    assert found.seq == 1
    assert not found.numbers


def test_many_changes_in_one_event_are_folded_waited_for_and_cut_off() -> None:
    configuration = folded(message(1, tenant()), together(4, number("c"), number("d")))
    assert configuration.current("acme").seq == 1  # type: ignore[union-attr]
    configuration.apply(together(2, number("a"), number("b")))
    assert label(configuration) == "d"
    assert configuration.current("acme").seq == 5  # type: ignore[union-attr]
    past = Configuration(ManualClock(NOON), up_to=3)
    for one in (message(1, tenant()), together(2, number("a"), number("b"), number("c"))):
        past.apply(one)
    assert (label(past), past.current("acme").seq) == ("b", 3)  # type: ignore[union-attr]
