"""JetStream as services use it: acknowledged publication, ordered following, durable consumers with dead letters."""

from carillon_kit.bus.api import (
    Bus,
    Consumer,
    ConsumerSpec,
    DeadLetter,
    DeadLetterStore,
    Delivered,
    EraseRefused,
    Follower,
    Handler,
    Message,
    Outgoing,
    PublishFailed,
    Retry,
    StreamLike,
    StreamSpec,
)
from carillon_kit.bus.memory import MemoryBus

__all__ = [
    "Bus",
    "Consumer",
    "ConsumerSpec",
    "DeadLetter",
    "DeadLetterStore",
    "Delivered",
    "EraseRefused",
    "Follower",
    "Handler",
    "MemoryBus",
    "Message",
    "Outgoing",
    "PublishFailed",
    "Retry",
    "StreamLike",
    "StreamSpec",
]
