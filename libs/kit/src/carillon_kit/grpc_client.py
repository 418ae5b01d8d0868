"""gRPC channels that carry the caller's token, tenant and trace context."""

import grpc.aio


def channel(target: str, token: str, tenant: str | None = None) -> grpc.aio.Channel:
    """A channel to `host:port`; per-call metadata `carillon-tenant` overrides `tenant`."""
    raise NotImplementedError
