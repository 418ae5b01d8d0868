"""The gRPC server of a service that is on the bus: it learns the published keys as they come, and reports what it refuses.

Always: a key that cannot be read is passed over and told in the log; while the bus is away, the keys that are known go on to do.
"""

import orjson

from carillon_kit.auth import PublicKeys, TokenVerifier
from carillon_kit.bus import Bus
from carillon_kit.bus.api import StreamLike
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.refusals import Describe, RefusalReports
from carillon_kit.settings import ServiceSettings

_log = get_logger(__name__)


async def guarded_server(
    settings: ServiceSettings,
    service: str,
    bus: Bus,
    tasks: Tasks,
    *,
    keys: StreamLike,
    audit: StreamLike,
    describe: Describe,
    checks_profiles: bool = False,
) -> GrpcServer:
    """A server that follows the keys of a stream (a message's `data` has `kid` and `x`, RFC 8037) and reports to another.

    `checks_profiles`: as `GrpcServer`."""
    for stream in (keys, audit):
        await bus.ensure_stream(stream)
    known = PublicKeys()
    tasks.start(_follow(bus, keys, known), "published keys")
    reports = RefusalReports(bus, audit.name, f"carillon/{service}/{settings.node}", describe)
    tasks.start(reports.run(), "refusals")
    verifier = TokenVerifier(settings.token_key.get_secret_value(), known)
    return GrpcServer(settings.grpc_listen, verifier, reports.note, checks_profiles=checks_profiles)


async def _follow(bus: Bus, stream: StreamLike, keys: PublicKeys) -> None:
    async for message in bus.follow(stream.name, stream.subjects[0]):
        try:
            data = orjson.loads(message.data)["data"]
            keys.add(data["kid"], data["x"])
        except (ValueError, KeyError, TypeError) as error:
            _log.error("a published key cannot be read", subject=message.subject, error=repr(error))
