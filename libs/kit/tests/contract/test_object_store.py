"""One suite for all object stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from carillon_kit.bus import Bus, MemoryBus
from carillon_kit.embedded import EmbeddedNats
from carillon_kit.object_store import FolderObjectStore, MemoryObjectStore, NatsObjectStore, ObjectNotFound, ObjectStore, object_name


@pytest.fixture(params=["memory", "folder", "nats"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryObjectStore()
    elif request.param == "folder":
        yield FolderObjectStore(tmp_path / "objects")
    else:
        server: EmbeddedNats = request.getfixturevalue("nats_server")
        async with await Bus.connect(server.url(), "test") as bus:
            yield NatsObjectStore(bus, "audio")


@pytest.mark.parametrize("data", [b"", b"RIFF", bytes(range(256)) * 2000], ids=["empty", "small", "several chunks"])
async def test_what_was_put_is_got_under_its_content_hash(store: ObjectStore, data: bytes) -> None:
    name = await store.put(data, "audio/wav")
    assert name == object_name(data)
    assert await store.get(name) == data


async def test_putting_twice_is_putting_once(store: ObjectStore) -> None:
    assert await store.put(b"same", "audio/wav") == await store.put(b"same", "audio/wav")
    assert await store.get(object_name(b"same")) == b"same"


@pytest.mark.parametrize("name", [object_name(b"never stored"), "../../etc/passwd", "sha256-"])
async def test_an_unknown_name_is_not_found(store: ObjectStore, name: str) -> None:
    with pytest.raises(ObjectNotFound):
        await store.get(name)


async def test_two_stores_of_one_bucket_see_the_same(nats_url: str) -> None:
    async with await Bus.connect(nats_url, "one") as one, await Bus.connect(nats_url, "other") as other:
        name = await NatsObjectStore(one, "shared").put(b"x" * 200_000, "audio/wav")
        assert await NatsObjectStore(other, "shared").get(name) == b"x" * 200_000


async def test_a_bus_without_a_server_is_refused() -> None:
    with pytest.raises(TypeError):
        NatsObjectStore(MemoryBus(), "audio")
