"""Audio, recordings and pages, named by their content: `sha256-<hex>`."""

from pathlib import Path
from typing import Protocol

from carillon_kit.bus.api import Bus


class ObjectNotFound(Exception):
    """No object of that name."""


class ObjectStore(Protocol):
    """Immutable objects named by content hash."""

    async def put(self, data: bytes, content_type: str) -> str:
        """Store `data`, idempotent; returns its name."""

    async def get(self, name: str) -> bytes:
        """The object's bytes; raises `ObjectNotFound`."""


def object_name(data: bytes) -> str:
    """The name `data` has in every store, known before it is uploaded."""
    raise NotImplementedError


class MemoryObjectStore:
    """The twin in memory."""

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol."""
        raise NotImplementedError

    async def get(self, name: str) -> bytes:
        """As the protocol."""
        raise NotImplementedError


class FolderObjectStore:
    """Objects as files of a folder."""

    def __init__(self, path: Path | str) -> None:
        raise NotImplementedError

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol."""
        raise NotImplementedError

    async def get(self, name: str) -> bytes:
        """As the protocol."""
        raise NotImplementedError


class NatsObjectStore:
    """Objects in a JetStream object store bucket."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        raise NotImplementedError

    async def put(self, data: bytes, content_type: str) -> str:
        """As the protocol."""
        raise NotImplementedError

    async def get(self, name: str) -> bytes:
        """As the protocol."""
        raise NotImplementedError
