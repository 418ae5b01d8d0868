"""Audio, recordings and pages, named by their content: `sha256-<hex>`.

Invariant: an object's bytes hash to its name; storing it twice, at once or after a crash, is as storing it once.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import nats.errors
from nats.js import api, errors

from carillon_kit.bus.api import Bus
from carillon_kit.bus.nats_bus import NatsBus

_NAME = re.compile(r"sha256-[0-9a-f]{64}")
_SECONDS = 30
_CONTENT_TYPE = "content-type"


class ObjectNotFound(Exception):
    """No object of that name."""


class ObjectStore(Protocol):
    """Immutable objects named by content hash."""

    async def put(self, data: bytes, content_type: str) -> str:
        """Store `data`, idempotent; returns its name. Raises `ConnectionError` when the store is away."""

    async def get(self, name: str) -> bytes:
        """The object's bytes; raises `ObjectNotFound`, or `ConnectionError` when the store is away."""

    async def delete(self, name: str) -> None:
        """Take the object out for good; raises as `get`. Whoever deletes knows that nobody else needs the same bytes."""


def object_name(data: bytes) -> str:
    """The name `data` has in every store, known before it is uploaded."""
    return f"sha256-{hashlib.sha256(data).hexdigest()}"


class MemoryObjectStore:
    """The twin in memory."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol."""
        name = object_name(data)
        self._objects[name] = bytes(data)
        return name

    async def get(self, name: str) -> bytes:
        """As the protocol."""
        if name not in self._objects:
            raise ObjectNotFound(name)
        return self._objects[name]

    async def delete(self, name: str) -> None:
        """As the protocol."""
        if self._objects.pop(name, None) is None:
            raise ObjectNotFound(name)


class FolderObjectStore:
    """Objects as files of a folder; the content type is not kept."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol; on the disk when it returns."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, name: str) -> bytes:
        """As the protocol."""
        if not _NAME.fullmatch(name):
            raise ObjectNotFound(name)
        try:
            return await asyncio.to_thread((self._path / name).read_bytes)
        except FileNotFoundError:
            raise ObjectNotFound(name) from None

    async def delete(self, name: str) -> None:
        """As the protocol."""
        if not _NAME.fullmatch(name):
            raise ObjectNotFound(name)
        try:
            await asyncio.to_thread((self._path / name).unlink)
        except FileNotFoundError:
            raise ObjectNotFound(name) from None

    def _put(self, data: bytes) -> str:
        name = object_name(data)
        target = self._path / name
        if not target.exists():
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path, prefix=".", delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(target)
        return name


class NatsObjectStore:
    """Objects in a JetStream object store bucket, made when it is first used."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        if not isinstance(bus, NatsBus):
            raise TypeError("needs a bus on NATS; with MemoryBus take MemoryObjectStore")
        self._context = bus.connection.jetstream(timeout=_SECONDS)
        self._bucket = bucket
        self._opened: Any = None

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol."""
        name = object_name(data)
        async with self._store() as store:
            try:
                await store.get_info(name)
            except errors.ObjectNotFoundError:
                meta = api.ObjectMeta(name=name, headers={_CONTENT_TYPE: content_type})
                await store.put(name, data, meta=meta)
        return name

    async def get(self, name: str) -> bytes:
        """As the protocol; the content is checked against the store's digest and the name."""
        async with self._store() as store:
            try:
                data = (await store.get(name)).data
            except errors.ObjectNotFoundError:
                raise ObjectNotFound(name) from None
        if data is None or object_name(data) != name:
            raise ObjectNotFound(f"{name} is damaged")
        return bytes(data)

    async def delete(self, name: str) -> None:
        """As the protocol."""
        async with self._store() as store:
            try:
                await store.delete(name)
            except errors.ObjectNotFoundError:
                raise ObjectNotFound(name) from None

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(_SECONDS):
                if self._opened is None:
                    self._opened = await self._open()
                yield self._opened
        except (nats.errors.Error, TimeoutError, OSError) as error:
            # The bucket may have gone with the server's store: it is looked for anew.
            self._opened = None
            raise ConnectionError(f"object store {self._bucket} cannot be had: {type(error).__name__} {error}") from error

    async def _open(self) -> Any:
        try:
            return await self._context.object_store(self._bucket)
        except errors.NotFoundError:
            return await self._context.create_object_store(self._bucket)
