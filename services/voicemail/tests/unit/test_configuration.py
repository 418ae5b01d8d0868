"""Every tenant's configuration, folded from its events."""

from carillon_contracts.config import Mailbox
from carillon_contracts.envelope import Event
from carillon_kit.bus import MemoryBus, Message
from carillon_voicemail.projections.configuration import Configuration
from carillon_voicemail.testing import company


def folded(*events: tuple[str, bytes]) -> Configuration:
    configuration = Configuration(MemoryBus())
    for number, (subject, body) in enumerate(events, 1):
        configuration.apply(Message(subject, body, number))
    return configuration


def test_each_tenant_has_its_own_and_events_that_come_again_change_nothing() -> None:
    events = [*company(Mailbox(id="main")), *company(Mailbox(id="other"), tenant="martin")]
    configuration = folded(*events, *events)
    assert (configuration.of("dupont").seq, set(configuration.of("dupont").mailboxes)) == (2, {"main"})
    assert set(configuration.of("martin").mailboxes) == {"other"}
    assert configuration.of("nobody").seq == 0


def test_a_gap_freezes_its_tenant_and_no_other() -> None:
    events = company(Mailbox(id="one"), Mailbox(id="two"))
    configuration = folded(events[0], events[2], *company(Mailbox(id="main"), tenant="martin"))
    assert configuration.of("dupont").seq == 1
    assert configuration.of("martin").seq == 2


def test_a_change_that_cannot_be_read_is_passed_over() -> None:
    events = company(Mailbox(id="one"), Mailbox(id="two"))
    subject, body = events[1]
    event = Event.from_json(body)
    broken = event.model_copy(update={"data": {**event.data, "after": {"id": "one", "colour": "red"}}})
    configuration = folded(events[0], (subject, broken.to_json()), ("carillon.dupont.config.x.y", b"{"), events[2])
    assert (configuration.of("dupont").seq, set(configuration.of("dupont").mailboxes)) == (3, {"two"})


def test_an_event_on_another_tenants_subject_is_not_taken() -> None:
    (_, body), *_ = company()
    assert folded(("carillon.martin.config.tenant.created", body)).of("dupont").seq == 0
