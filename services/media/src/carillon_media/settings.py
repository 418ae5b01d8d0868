"""Settings of the media service."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from carillon_kit.settings import ServiceSettings
from carillon_media.domain.addresses import Network, networks

Address = tuple[str, int]


def _address(value: str) -> Address:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port")
    return host.strip("[]") or "0.0.0.0", int(port)


class MediaSettings(ServiceSettings):
    """Environment variables `CARILLON_<FIELD>`."""

    #: host:port of the SIP listeners; empty: none. Port 0 takes a free one.
    sip_udp: str = "127.0.0.1:5060"
    sip_tcp: str = "127.0.0.1:5060"
    #: Host that phones and carriers reach us at, for Contact and Via; empty: the listen address.
    advertise: str = ""
    #: Unix socket of the media plane.
    plane_socket: Path
    #: Addresses of the call applications by name, as JSON; `routing` is asked first.
    applications: dict[str, str]
    #: host:port of the cdr service, which says what may be forgotten; empty: nothing is forgotten.
    cdr: str = ""
    #: Folder of journal, spool and prompts.
    data: Path
    #: WAV file (16 bit) that held parties hear; none: a melody of our own.
    hold_music: Path | None = None
    #: User agents (regular expression) that are offered SHA-256 beside MD5; `.*` for all. See `handlers.doorkeeper.Doorkeeper`.
    sha256_agents: str = r"^(carillon|linphone|snom|pjsip|pjsua|microsip|zoiper|asterisk|sip\.js|jssip)"
    #: Calls at once; more are refused with 503 and Retry-After.
    max_calls: int = Field(default=5000, ge=1)
    #: A call is ended after this.
    max_call_hours: float = Field(default=12.0, gt=0)
    #: A leg from which nothing was heard for so long has left, unless one side is on hold; 0: never.
    silence_seconds: float = Field(default=300.0, ge=0)
    #: At the end (SIGTERM, `NodeService.Drain`): how long calls may go on before they are cut. The shutdown gets that time besides.
    drain_seconds: float = Field(default=0.0, ge=0)
    #: Networks that are never banned or slowed down (SIP edges, which limit by themselves; monitoring), separated by commas. Trunks
    #: need not be named.
    never_ban: str = ""
    #: Networks that nothing is sent to, whatever a message says: your own that callers have no business in. Separated by commas.
    refused_networks: str = ""
    #: Whether far ends may stand on loopback; None: if SIP listens there.
    allow_loopback: bool | None = None
    #: LOW-HIGH: the media plane's ports; no description may send one call's audio to another's port. Empty: not checked.
    plane_ports: str = ""
    #: Failures until a source is banned, an account locked; one is forgiven every 30 s. See `domain.guard`.
    ban_failures: float = Field(default=20.0, ge=1)
    #: Requests a second of one source that prove nothing, and how many at once.
    source_rate: float = Field(default=50.0, gt=0)
    source_burst: float = Field(default=2000.0, ge=1)
    #: How long the configuration may take to be read at the start.
    catch_up_seconds: float = 60.0
    #: How long the media plane may take to be there at the start.
    plane_seconds: float = 30.0
    #: How long stored registrations are waited for at the start; without them the service runs, and phones register again.
    registrations_seconds: float = 3.0

    @field_validator("sip_udp", "sip_tcp")
    @classmethod
    def _listens(cls, value: str) -> str:
        if value:
            _address(value)
        return value

    @field_validator("sha256_agents")
    @classmethod
    def _expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @field_validator("never_ban", "refused_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("plane_ports")
    @classmethod
    def _ports(cls, value: str) -> str:
        low, dash, high = value.partition("-")
        if value and not (dash and low.isdecimal() and high.isdecimal() and int(low) <= int(high) <= 65_535):
            raise ValueError(f"{value!r} is not LOW-HIGH")
        return value

    @property
    def never_banned(self) -> tuple[Network, ...]:
        """`never_ban` as networks."""
        return networks(self.never_ban)

    @property
    def refused(self) -> tuple[Network, ...]:
        """`refused_networks` as networks."""
        return networks(self.refused_networks)

    @property
    def loopback(self) -> bool:
        """Whether far ends may stand on loopback."""
        if self.allow_loopback is not None:
            return self.allow_loopback
        hosts = [part.strip().rpartition(":")[0].strip("[]") for part in f"{self.sip_udp},{self.sip_tcp}".split(",")]
        return any(host.startswith("127.") or host in ("::1", "localhost") for host in hosts)

    @property
    def media_ports(self) -> range:
        """`plane_ports` as numbers."""
        low, _, high = self.plane_ports.partition("-")
        return range(int(low), int(high) + 1) if high else range(0)

    @property
    def udp_address(self) -> Address | None:
        """Where SIP over UDP listens."""
        return _address(self.sip_udp) if self.sip_udp else None

    @property
    def tcp_address(self) -> Address | None:
        """Where SIP over TCP listens."""
        return _address(self.sip_tcp) if self.sip_tcp else None
