"""Persons who are erased: what they had spoken goes from the store and from this node's files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from carillon_contracts.config import Audio
from carillon_contracts.envelope import Event
from carillon_contracts.erasure import PersonErasureOrdered, order_event
from carillon_contracts.streams import ERASURES
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import MemoryBus
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.lifecycle import Tasks
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_kit.testing import eventually
from carillon_media.adapters.journal import Journal, JournalRecord
from carillon_media.adapters.object_cache import ObjectCache
from carillon_media.erasures import CONSUMER, ErasureSubscriber, clear_files

pytestmark = pytest.mark.feature("P-8")
AT = datetime(2026, 3, 5, tzinfo=UTC)


def order(*objects: str) -> tuple[UUID, str, bytes]:
    return order_event(
        "acme",
        PersonErasureOrdered(
            erasure_id=str(UUID(int=1)), ids={"zoe": "erased-abcdef012345"}, user_id="zoe", pseudonym="erased-abcdef012345", objects=objects
        ),
        AT,
    )


def having(tenant: str, name: str) -> TenantConfig:
    """A tenant with one file."""
    known = {"object": name, "wide_object": name, "duration_ms": 1, "rights_confirmed_by": "x", "rights_confirmed_at": AT}
    return TenantConfig(tenant, resources={"audio": {"a": Audio.model_validate({"id": "a", **known})}})


async def answered(bus: MemoryBus) -> dict[str, Any]:
    """What the service told last."""
    return Event.from_json(bus.messages(ERASURES.name)[-1].data).data["counts"]  # type: ignore[no-any-return]


async def test_audio_goes_from_the_store_but_for_what_another_tenant_has() -> None:
    bus, objects = MemoryBus(), MemoryObjectStore()
    await bus.ensure_stream(ERASURES)
    own, shared = await objects.put(b"hers", "audio/wav"), await objects.put(b"both", "audio/wav")
    subscriber = ErasureSubscriber(bus, None, objects, lambda: [having("acme", own), having("other", shared)])
    consumer = await bus.consume(CONSUMER, subscriber.handle, MemoryDeadLetters())
    event_id, subject, payload = order(own, shared)
    await bus.publish(ERASURES.name, subject, payload, str(event_id))
    await eventually(lambda: len(bus.messages(ERASURES.name)) == 2)
    await consumer.stop()
    assert await answered(bus) == {"registrations_deleted": 0, "audio_deleted": 1}
    assert await objects.get(shared) == b"both"
    with pytest.raises(ObjectNotFound):
        await objects.get(own)


async def test_a_node_takes_it_out_of_its_own_files(tmp_path: Path) -> None:
    bus, objects = MemoryBus(), MemoryObjectStore()
    await bus.ensure_stream(ERASURES)
    own = await objects.put(b"hers", "audio/wav")
    cache = ObjectCache(tmp_path / "audio", objects, max_bytes=1000)
    heard = ObjectCache(tmp_path / "heard", objects, max_bytes=0)
    kept, message = await cache.get(own), await heard.get(await objects.put(b"a message for her", "audio/wav"))
    assert kept is not None
    assert message is not None
    assert message.exists()
    journal, _ = Journal.open(tmp_path / "journal")
    await journal.append([JournalRecord("event", "acme", "c1", 1, b"call of zoe")])
    await journal.forget([("acme", "c1")])
    event_id, subject, payload = order(own)
    await bus.publish(ERASURES.name, subject, payload, str(event_id))
    async with Tasks() as tasks:
        tasks.start(clear_files(bus, journal, cache, heard), "files")
        await eventually(lambda: not kept.exists() and not message.exists() and not list((tmp_path / "journal").glob("*.journal")))
    await journal.close()
