"""The gRPC server of a service that is on the bus: it learns the published keys and which tokens are ended as they come, and reports
what it refuses.

Always: what cannot be read is passed over and told in the log; while the bus is away, what is known goes on to do. Nobody is served
before all was read that was published until then.
"""

from datetime import datetime

import orjson

from carillon_kit.auth import PublicKeys, TokenVerifier
from carillon_kit.bus import Bus
from carillon_kit.bus.api import Follower, StreamLike
from carillon_kit.ended_tokens import EndedTokens
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.refusals import Describe, RefusalReports
from carillon_kit.settings import ServiceSettings

_CATCH_UP_SECONDS = 60.0
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
    """A server that follows a stream of keys (a message's `data` has `kid` and `x`, RFC 8037) and of ended tokens (`tenant`, `subject`,
    and the times `before` and `until`), and reports to another.

    `checks_profiles`: as `GrpcServer`. Raises `TimeoutError` when the stream cannot be read."""
    for stream in (keys, audit):
        await bus.ensure_stream(stream)
    known, ended = PublicKeys(), EndedTokens()
    follower = bus.follow(keys.name, keys.subjects[0])
    tasks.start(_follow(follower, known, ended), "published keys")
    await follower.caught_up(_CATCH_UP_SECONDS)
    reports = RefusalReports(bus, audit.name, f"carillon/{service}/{settings.node}", describe)
    tasks.start(reports.run(), "refusals")
    verifier = TokenVerifier(settings.token_key.get_secret_value(), known, ended)
    return GrpcServer(settings.grpc_listen, verifier, reports.note, checks_profiles=checks_profiles)


async def _follow(follower: Follower, keys: PublicKeys, ended: EndedTokens) -> None:
    async for message in follower:
        try:
            data = orjson.loads(message.data)["data"]
            if "kid" in data:
                keys.add(data["kid"], data["x"])
            else:
                ended.add(
                    data["tenant"], data["subject"], *(datetime.fromisoformat(data[name]).timestamp() for name in ("before", "until"))
                )
        except (ValueError, KeyError, TypeError) as error:
            _log.error("a published key or end of tokens cannot be read", subject=message.subject, error=repr(error))
