"""Audio of the object store on a node's disk: what is heard is kept as long as there is room, or no longer than it is heard."""

from pathlib import Path

from carillon_kit.object_store import MemoryObjectStore
from carillon_media.adapters.object_cache import IN_USE_SECONDS, ObjectCache


async def test_a_cache_of_no_size_keeps_what_is_in_use_and_nothing_longer(tmp_path: Path) -> None:
    objects, now = MemoryObjectStore(), 0.0
    cache = ObjectCache(tmp_path / "heard", objects, max_bytes=0, monotonic=lambda: now)
    names = [await objects.put(each, "audio/wav") for each in (b"one", b"two", b"three")]
    first, second = await cache.get(names[0]), await cache.get(names[1])
    assert first is not None
    assert second is not None
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")
    now = IN_USE_SECONDS
    assert await cache.get(names[0]) == first
    third = await cache.get(names[2])
    assert third is not None
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)
    cache.clear()
    assert not list((tmp_path / "heard").iterdir())
    # A process that was killed: what it left is not kept either.
    left = await cache.get(names[0])
    assert left is not None
    anew = ObjectCache(tmp_path / "heard", objects, max_bytes=0, monotonic=lambda: now)
    assert await anew.get(names[1]) == second
    assert not left.exists()
