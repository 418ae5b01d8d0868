"""What `carillon up` was asked for, where things lie in its data folder, and which ports it takes.

Always: every port has the name of the setting that moves it, so that a port in use can be told with what to do about it.
"""

import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from carillon_cli.errors import CliError
from carillon_kit.embedded import free_port

GRPC_SERVICES = ("directory", "routing", "media", "voicemail", "cdr")
#: sun_path of unix(7) holds 108 bytes with the final zero.
LONGEST_SOCKET_PATH = 100
#: Where `--ports auto` looks for a range of RTP ports: below the range from which the kernel takes ports for clients.
RTP_SEARCH = (10_000, 32_000)
RTP_AUTO_SIZE = 8_000
DEFAULT_DATA = Path(".carillon")


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of the system. RTP is a range, both ends included."""

    sip: int = 5060
    sip_tls: int = 5061
    directory: int = 7001
    routing: int = 7002
    media: int = 7003
    voicemail: int = 7004
    cdr: int = 7005
    #: Where browsers call.
    web: int = 7080
    #: Where phones fetch their settings.
    provisioning: int = 7081
    nats: int = 4222
    postgres: int = 5433
    rtp_low: int = 20_000
    rtp_high: int = 29_999

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 1 <= getattr(self, field.name) <= 65_535:
                raise CliError(f"port {getattr(self, field.name)} of {field.name} is not between 1 and 65535")
        if self.rtp_high - self.rtp_low < 3:
            raise CliError(f"--rtp-ports {self.rtp_low}-{self.rtp_high} has no room for a call", "A call takes four ports.")

    def grpc(self, service: str) -> int:
        """The gRPC port of a service."""
        return int(getattr(self, service))


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    data: Path
    host: str
    advertise: str
    ports: Ports
    demo: bool = False
    test_clock: bool = False
    quiet: bool = False
    #: SIP over TLS; None: there is none.
    tls: TlsFiles | None = None
    #: An IPv6 address where SIP listens besides; empty: none.
    host6: str = ""
    #: Origins of the pages that may call from browsers, separated by commas.
    web_origins: str = ""
    #: How long calls that are up may go on at the end, in seconds.
    drain: float = 2.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things lie; `root` is absolute."""

    root: Path

    @property
    def run_file(self) -> Path:
        return self.root / "run.json"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def credentials(self) -> Path:
        return self.root / "demo-credentials.json"

    @property
    def clock(self) -> Path:
        return self.root / "clock.json"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def log(self) -> Path:
        return self.root / "log"

    def of(self, service: str) -> Path:
        """The folder of a service or server."""
        return self.root / service


def owners(ports: Ports, *, embedded_nats: bool, embedded_postgres: bool, tls: bool = False) -> Iterator[tuple[str, int, str, str]]:
    """(transport, port, who needs it, setting that moves it) of every single port."""
    yield "udp", ports.sip, "SIP", "--sip-port"
    yield "tcp", ports.sip, "SIP", "--sip-port"
    if tls:
        yield "tcp", ports.sip_tls, "SIP", "--sip-tls-port"
    for service in GRPC_SERVICES:
        yield "tcp", ports.grpc(service), f"gRPC of {service}", "--grpc-port-base"
    yield "tcp", ports.web, "browsers", "--web-port"
    yield "tcp", ports.provisioning, "provisioning", "--provisioning-port"
    if embedded_nats:
        yield "tcp", ports.nats, "NATS", "--nats-port"
    if embedded_postgres:
        yield "tcp", ports.postgres, "Postgres", "--postgres-port"


def taken(host: str, transport: str, port: int) -> str:
    """Why the port cannot be had; empty when it can."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if transport == "tcp":
                probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def check_host(option: str, host: str, probe: Callable[[str, str, int], str] = taken) -> None:
    """Raise `CliError` when nothing can listen on the host, whatever the port; empty: not asked for."""
    if host and (why := probe(host, "udp", 0)):
        raise CliError(f"{option} {host}: nothing can listen there: {why}", "Give an IP address of this machine; `ip address` lists them.")


def check_ports(options: Options, *, embedded_nats: bool, embedded_postgres: bool, probe: Callable[[str, str, int], str] = taken) -> None:
    """Raise `CliError` that names every port that cannot be had, who needs it and what moves it."""
    found = [
        f"{transport} port {port} on {host} for {who} ({setting}): {why}"
        for transport, port, who, setting in owners(
            options.ports, embedded_nats=embedded_nats, embedded_postgres=embedded_postgres, tls=options.tls is not None
        )
        for host in hosts(who, options)
        if (why := probe(host, transport, port))
    ]
    if found:
        raise CliError(
            "\n".join(["cannot listen:", *(f"  {line}" for line in found)]), "Move it with the setting named, or use --ports auto."
        )


def hosts(who: str, options: Options) -> tuple[str, ...]:
    """Where the port of `who` listens."""
    match who:
        case "SIP":
            return tuple(filter(None, (options.host, options.host6)))
        case "provisioning":
            return (options.host,)
        case _:
            return ("127.0.0.1",)


def free_ports(host: str) -> Ports:
    """Ports that are free now, and that the kernel gives to no client while a service is started again."""
    try:
        single = {name: free_port() for name in (*GRPC_SERVICES, "web", "provisioning", "nats", "postgres")}
        sip, sip_tls = free_port(host), free_port(host)
    except OSError as error:
        raise CliError(f"--ports auto: {error.strerror}") from error
    low = _free_range(host)
    return Ports(sip=sip, sip_tls=sip_tls, rtp_low=low, rtp_high=low + RTP_AUTO_SIZE - 1, **single)


def _free_range(host: str) -> int:
    """Start of a range for RTP whose first ports are free; different runs look at different places."""
    starts = list(range(RTP_SEARCH[0], RTP_SEARCH[1] - RTP_AUTO_SIZE + 1, 1_000))
    random.SystemRandom().shuffle(starts)
    for low in starts:
        if not any(taken(host, "udp", port) for port in range(low, low + 8)):
            return low
    raise CliError(f"no range of {RTP_AUTO_SIZE} RTP ports is free on {host}", "Give one with --rtp-ports LOW-HIGH.")
