"""The processes of the system: how each is started, told its settings, known to be ready, and ended.

Always: a service is told nothing but its own role, its own NATS user, and where its peers are. Ending goes from the calls to the
data: media first (it drains), the plane that carries its audio, the services that decide, the ledger, then NATS, then Postgres.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from carillon_cli.supervisor.layout import GRPC_SERVICES, Folders, Options
from carillon_cli.supervisor.processes import ProcessSpec, base_environment
from carillon_kit.embedded import EmbeddedServer

PLANE = "media-plane"
#: Takes over at once when that one dies; the one that died stands by then.
STANDBY = "plane-spare"
NATS, POSTGRES = "nats", "postgres"
WITH_DATABASE = ("directory", "media", "voicemail", "cdr", "routing")
STOP_GROUPS = {"media": 0, PLANE: 1, STANDBY: 1, "routing": 2, "voicemail": 2, "directory": 3, "cdr": 3, NATS: 4, POSTGRES: 5}
SHUTDOWN_SECONDS = 8
#: What media may take to end beyond the time that it waits for its calls.
MEDIA_STOP_SECONDS = 13.0
HEALTH_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Backing:
    """What the services stand on: one DSN per service with a schema, one NATS URL per service, the key of tokens."""

    dsns: Mapping[str, str]
    nats_urls: Mapping[str, str]
    token_key: str
    plane_socket: Path


def service_environment(service: str, options: Options, folders: Folders, backing: Backing) -> dict[str, str]:
    """The settings of a service as environment variables."""
    ports = options.ports
    found = {
        "CARILLON_NATS_URL": backing.nats_urls[service],
        "CARILLON_GRPC_LISTEN": f"127.0.0.1:{ports.grpc(service)}",
        "CARILLON_TOKEN_KEY": backing.token_key,
        "CARILLON_SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS),
    }
    if service in backing.dsns:
        found["CARILLON_POSTGRES_DSN"] = backing.dsns[service]
    match service:
        case "routing":
            found |= {"CARILLON_DIRECTORY": f"127.0.0.1:{ports.directory}", "CARILLON_CDR": f"127.0.0.1:{ports.cdr}"}
            found["CARILLON_MEDIA"] = f"127.0.0.1:{ports.grpc('media')}"
            if options.test_clock:
                found["CARILLON_CLOCK_FILE"] = str(folders.clock)
        case "directory":
            others = (f"carillon.{name}.v1=127.0.0.1:{ports.grpc(name)}" for name in GRPC_SERVICES if name != service)
            found |= {
                "CARILLON_ROUTING": f"127.0.0.1:{ports.routing}",
                "CARILLON_MEDIA": f"127.0.0.1:{ports.grpc('media')}",
                "CARILLON_CDR": f"127.0.0.1:{ports.cdr}",
                "CARILLON_PROVISIONING_LISTEN": f"{options.host}:{ports.provisioning}",
                "CARILLON_PROVISIONING_URL": f"http://{options.advertise}:{ports.provisioning}",
                "CARILLON_PROVISIONING_SIP": f"{options.advertise}:{ports.sip}",
                "CARILLON_WEB_LISTEN": f"127.0.0.1:{ports.web}",
                "CARILLON_WEB_ORIGINS": options.web_origins,
                "CARILLON_WEB_UPSTREAMS": ",".join(others),
                # On one machine nobody is behind for long.
                "CARILLON_ERASURE_SECONDS": "1",
                "CARILLON_ERASURE_GRACE_SECONDS": "2",
            }
        case "media":
            found |= {
                "CARILLON_SIP_UDP": listeners(options, ports.sip),
                "CARILLON_SIP_TCP": listeners(options, ports.sip),
                "CARILLON_ADVERTISE": options.advertise,
                **tls_environment(options),
                "CARILLON_PLANE_SOCKET": str(backing.plane_socket),
                "CARILLON_APPLICATIONS": json.dumps(
                    {
                        name: f"127.0.0.1:{ports.grpc(service)}"
                        for name, service in (("routing", "routing"), ("voicemail", "voicemail"), ("conference", "voicemail"))
                    }
                ),
                "CARILLON_CDR": f"127.0.0.1:{ports.cdr}",
                "CARILLON_DIRECTORY": f"127.0.0.1:{ports.directory}",
                "CARILLON_DATA": str(folders.of("media")),
                "CARILLON_DRAIN_SECONDS": f"{options.drain:g}",
                "CARILLON_PLANE_PORTS": f"{ports.rtp_low}-{ports.rtp_high}",
            }
        case "voicemail":
            found |= {"CARILLON_MAILDIR": str(folders.mail), "CARILLON_DIRECTORY": f"127.0.0.1:{ports.directory}"}
        case _:
            pass
    return found


def listeners(options: Options, port: int) -> str:
    """host:port of each family."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in (options.host, options.host6) if host)


def tls_environment(options: Options) -> dict[str, str]:
    """Settings of SIP over TLS; empty without a certificate."""
    if options.tls is None:
        return {}
    return {
        "CARILLON_SIP_TLS": listeners(options, options.ports.sip_tls),
        "CARILLON_TLS_CERTIFICATE": str(options.tls.certificate),
        "CARILLON_TLS_KEY": str(options.tls.key),
    }


def serving(address: str) -> Callable[[], Awaitable[bool]]:
    """Asks a service's health (grpc.health.v1); a refusal or silence is a no."""

    async def ask() -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ask


def listening(path: Path) -> Callable[[], Awaitable[bool]]:
    """Whether someone takes connections on the Unix socket."""

    async def ask() -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    return ask


def python_environment() -> dict[str, str]:
    """For our own processes: unbuffered; compiled code is kept, because a start without it takes twice as long.

    gRPC's fork handlers are off: they would write a line for every prompt that a child process renders, and none of our forks uses gRPC.
    """
    found = base_environment() | {"PYTHONUNBUFFERED": "1", "GRPC_ENABLE_FORK_SUPPORT": "0"}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def service_spec(service: str, options: Options, folders: Folders, backing: Backing) -> ProcessSpec:
    """A Python service."""
    return ProcessSpec(
        service,
        [sys.executable, "-m", f"carillon_{service}"],
        python_environment() | service_environment(service, options, folders, backing),
        ready=serving(f"127.0.0.1:{options.ports.grpc(service)}"),
        stop_group=STOP_GROUPS[service],
        stop_seconds=MEDIA_STOP_SECONDS + options.drain if service == "media" else SHUTDOWN_SECONDS + 2.0,
    )


def plane_spec(name: str, options: Options, socket: Path) -> ProcessSpec:
    """A media plane: of the two on one socket one serves."""
    ports = f"{options.ports.rtp_low}-{options.ports.rtp_high}"
    command = [sys.executable, "-m", "carillon_rtp", "--standby", "--socket", str(socket), "--listen-ip", options.host, "--ports", ports]
    if options.host6:
        command += ["--listen-ip6", options.host6]
    if options.advertise != options.host:
        command += ["--public-ip", options.advertise]
    if options.test_clock:
        command += ["--most-late", "2"]  # never: a machine that tests has much else to do
    return ProcessSpec(name, command, python_environment(), ready=listening(socket), stop_group=STOP_GROUPS[name], stop_seconds=5.0)


def server_spec(name: str, server: EmbeddedServer) -> ProcessSpec:
    """NATS or Postgres, already prepared."""

    async def ready() -> bool:
        return await asyncio.to_thread(server.is_ready)

    environment = base_environment() | dict(server.environment())
    return ProcessSpec(name, server.command(), environment, ready, STOP_GROUPS[name], server.stop_signal, 10.0)
