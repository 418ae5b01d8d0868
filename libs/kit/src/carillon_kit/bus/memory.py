"""The bus in memory, for tests."""

from collections.abc import Mapping, Sequence

from carillon_kit.bus.api import Bus, Consumer, ConsumerSpec, DeadLetterStore, Follower, Handler, Outgoing, StreamLike


class MemoryBus(Bus):
    """`Bus` without a server."""

    async def ensure_stream(self, stream: StreamLike) -> None:
        raise NotImplementedError

    async def publish(
        self, stream: str, subject: str, payload: bytes, message_id: str, timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> None:
        raise NotImplementedError

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        raise NotImplementedError

    def follow(self, stream: str, subject: str) -> Follower:
        raise NotImplementedError

    async def consume(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, batch: int = 64) -> Consumer:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
