"""Media's fold of the stream CONFIG: what cannot be read is passed over, what comes after it counts."""

import json
from datetime import UTC, datetime
from uuid import UUID

from carillon_contracts.config import Announcement, ConfigChanged, Mailbox, Resource, Tenant, User
from carillon_contracts.envelope import Event
from carillon_contracts.streams import config_subject
from carillon_kit.bus import MemoryBus, Message
from carillon_media.domain.accounts import Accounts
from carillon_media.projections.configuration import Configuration, phrases

AT = datetime(2026, 11, 22, tzinfo=UTC)


def message(seq: int, change: dict[str, object]) -> Message:
    event = Event(id=UUID(int=seq), source="test", type="test", subject="x", time=AT, tenantid="dupont", configseq=seq, data=change)
    return Message(config_subject("dupont", "user", "created"), event.to_json(), seq)


def created(resource: Resource) -> dict[str, object]:
    after = resource.model_dump(mode="json")
    change = ConfigChanged(resource=resource.KIND, resource_id=resource.id, action="created", after=after, actor="test")
    return dict(json.loads(change.model_dump_json()))


def test_a_change_that_cannot_be_read_does_not_freeze_its_tenant() -> None:
    accounts = Accounts()
    configuration = Configuration(MemoryBus(), accounts)
    configuration.fold(message(1, created(Tenant(id="dupont", realm="dupont.example"))))
    configuration.fold(message(2, {"resource": "user"}))
    configuration.fold(message(3, created(User(id="alain", last_name="Dupont"))))
    config = accounts.config("dupont")
    assert config is not None
    assert (config.seq, list(config.users)) == (3, ["alain"])


async def test_phrases_are_those_of_what_changed_and_all_in_another_language() -> None:
    configuration = Configuration(MemoryBus(), Accounts())

    async def spoken() -> list[tuple[str, str]]:
        return [(p.speech.text, p.speech.language) for now, before in await configuration.changed() for p in phrases(now, before)]

    configuration.fold(message(1, created(Tenant(id="dupont", realm="dupont.example", language="fr"))))
    configuration.fold(message(2, created(Mailbox(id="main", display_name="Main", greeting=(Announcement(text="Bonjour"),)))))
    assert await spoken() == [("Bonjour", "fr")]
    configuration.fold(message(3, created(Mailbox(id="other", display_name="Other", greeting=(Announcement(text="Salut"),)))))
    configuration.fold(message(4, created(User(id="alain", last_name="Dupont"))))
    assert await spoken() == [("Salut", "fr")]
    configuration.fold(message(5, created(Tenant(id="dupont", realm="dupont.example", language="de"))))
    assert sorted(await spoken()) == [("Bonjour", "de"), ("Salut", "de")]
