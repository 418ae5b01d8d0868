"""Media's fold of the stream CONFIG: what cannot be read is passed over, what comes after it counts."""

import json
from datetime import UTC, datetime
from uuid import UUID

from carillon_contracts.config import ConfigChanged, Tenant, User
from carillon_contracts.envelope import Event
from carillon_contracts.streams import config_subject
from carillon_kit.bus import MemoryBus, Message
from carillon_media.domain.accounts import Accounts
from carillon_media.projections.configuration import Configuration

AT = datetime(2026, 11, 22, tzinfo=UTC)


def message(seq: int, change: dict[str, object]) -> Message:
    event = Event(id=UUID(int=seq), source="test", type="test", subject="x", time=AT, tenantid="dupont", configseq=seq, data=change)
    return Message(config_subject("dupont", "user", "created"), event.to_json(), seq)


def created(resource: Tenant | User) -> dict[str, object]:
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
