"""The gRPC server of every service: deny by default, rich errors, health, reflection, trace context."""

from collections.abc import Callable, Mapping
from typing import Any

from carillon_kit.auth import Principal, TokenVerifier


def current_principal() -> Principal:
    """Who makes the call that is being served."""
    raise NotImplementedError


def current_tenant() -> str:
    """The tenant of the call: the token's; operators and services name it in metadata `carillon-tenant`, else `InvalidArgument`."""
    raise NotImplementedError


class GrpcServer:
    """A `grpc.aio` server on `listen` (`host:port`, port 0: a free one)."""

    def __init__(self, listen: str, verifier: TokenVerifier) -> None:
        raise NotImplementedError

    def add(
        self,
        add_servicer: Callable[[Any, Any], None],
        servicer: object,
        service_full_name: str,
        rights: Mapping[str, frozenset[str]],
    ) -> None:
        """Serve `servicer`; `rights` names every rpc and the roles that may call it, anything else is refused with `ValueError`."""
        raise NotImplementedError

    async def start(self) -> int:
        """Listen; returns the port."""
        raise NotImplementedError

    async def stop(self, grace: float = 5.0) -> None:
        """Take no more calls, let those that run finish within `grace` seconds."""
        raise NotImplementedError
