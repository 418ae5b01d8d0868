"""The bus on NATS JetStream."""

from carillon_kit.bus.memory import MemoryBus


class NatsBus(MemoryBus):
    """`Bus` on NATS JetStream."""

    @classmethod
    async def open(cls, url: str, name: str, *, timeout: float) -> "NatsBus":
        raise NotImplementedError
