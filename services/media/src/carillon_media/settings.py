"""Settings of the media service."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from carillon_kit.settings import ServiceSettings
from carillon_media.domain.addresses import Network, networks
from carillon_media.domain.secrecy import SrtpSetting

Address = tuple[str, int]


def _address(value: str) -> Address:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port")
    return host.strip("[]") or "0.0.0.0", int(port)


def _addresses(value: str) -> tuple[Address, ...]:
    return tuple(_address(part.strip()) for part in value.split(",") if part.strip())


class MediaSettings(ServiceSettings):
    """Environment variables `CARILLON_<FIELD>`."""

    #: host:port of the SIP listeners, several separated by commas (`0.0.0.0:5060,[::]:5060`); empty: none. Port 0 takes a free one.
    sip_udp: str = "127.0.0.1:5060"
    sip_tcp: str = "127.0.0.1:5060"
    #: Needs a certificate.
    sip_tls: str = ""
    #: PEM files of our chain and its key; taken up anew when they change.
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    #: PEM: who must have signed the certificates of those that connect to us; empty: they need none.
    tls_client_ca: Path | None = None
    #: PEM: who must have signed the certificates of trunks; empty: the system's list.
    tls_ca: Path | None = None
    #: Whether trunks over TLS must prove their name.
    tls_verify: bool = True
    #: How often the files are looked at.
    tls_reload_seconds: float = Field(default=10.0, gt=0)
    #: Host that phones and carriers reach us at, for Contact and Via: an IPv4 address or name, and an IPv6 address after a comma; empty:
    #: the listen address.
    advertise: str = ""
    #: TCP and TLS connections at once, in all and of one source (an IPv6 source is a /64).
    max_connections: int = Field(default=4000, ge=1)
    max_connections_per_source: int = Field(default=1000, ge=1)
    #: Until a new connection's first whole message, and from a message's first byte to its last.
    message_seconds: float = Field(default=15.0, gt=0)
    #: A connection on which neither a registration nor a call lives may be silent so long.
    idle_seconds: float = Field(default=300.0, gt=0)
    #: Subscriptions to lamps, message counts and presence at once, and how long one lasts unless refreshed: after a crash so long at most
    #: lamps are wrong.
    max_subscriptions: int = Field(default=50_000, ge=1)
    max_subscription_seconds: int = Field(default=900, ge=60)
    #: host:port of DNS servers, separated by commas; empty: those of this machine.
    dns_servers: str = ""
    #: Unix socket of the media plane.
    plane_socket: Path
    #: Addresses of the call applications by name, as JSON; `routing` is asked first.
    applications: dict[str, str]
    #: host:port of the cdr service, which says what may be forgotten; empty: nothing is forgotten.
    cdr: str = ""
    #: host:port of the directory service, which keeps what is known of uploaded audio; empty: nothing can be uploaded.
    directory: str = ""
    #: Bytes of tenants' audio that are kept on this node's disk.
    audio_cache_bytes: int = Field(default=1 << 30, ge=1 << 20)
    #: Folder of journal, spool and prompts.
    data: Path
    #: WAV file (16 bit) that held parties hear; none: a melody of our own.
    hold_music: Path | None = None
    #: Where prompt sets are installed; unset: `prompt-sets` among the data.
    prompt_sets: Path | None = None
    #: User agents (regular expression) that are offered SHA-256 beside MD5; `.*` for all. See `handlers.doorkeeper.Doorkeeper`.
    sha256_agents: str = r"^(carillon|linphone|snom|pjsip|pjsua|microsip|zoiper|asterisk|sip\.js|jssip)"
    #: Whether this node registers with carriers; of several one should. Unset: the nodes agree by their database; as long as it was never
    #: reached, a node whose name ends in a number does if that is 0.
    trunk_registrations: bool | None = None
    #: SRTP: `optional` answers it when it is offered and offers it, besides RTP, to legs over TLS; `required`: those must; or `off`.
    srtp: SrtpSetting = "optional"
    #: Calls at once; more are refused with 503 and Retry-After.
    max_calls: int = Field(default=5000, ge=1)
    #: A call is ended after this.
    max_call_hours: float = Field(default=12.0, gt=0)
    #: So long at their beginning fax and network tones are listened for in what trunks say; 0: never.
    tone_seconds: float = Field(default=15.0, ge=0)
    #: A leg from which nothing was heard for so long has left, unless one side is on hold; 0: never.
    silence_seconds: float = Field(default=300.0, ge=0)
    #: At the end (SIGTERM, `NodeService.Drain`): how long calls may go on before they are cut. The shutdown gets that time besides.
    drain_seconds: float = Field(default=0.0, ge=0)
    #: New calls, but those for help, get 503 with Retry-After while so many are in set-up that they would wait about one and a half times
    #: this for what is to be done here (by the journal, the media plane, this process itself; not by routing).
    overload_seconds: float = Field(default=0.5, gt=0)
    #: Calls of a process that died are taken up again by one that starts within this; 0: they are ended.
    resume_seconds: float = Field(default=60.0, ge=0)
    #: Networks that are never banned or slowed down (SIP edges, which limit by themselves; monitoring), separated by commas. Trunks
    #: need not be named.
    never_ban: str = ""
    #: Networks that audio may come from whatever the session description says (carriers' media gateways that send from elsewhere than they
    #: receive; the pool of a NAT that gives SIP and RTP different addresses). At most 4, separated by commas.
    media_networks: str = ""
    #: Networks that nothing is sent to, whatever a message says: your own that callers have no business in. Separated by commas.
    refused_networks: str = ""
    #: Comfort noise (RFC 3389) is agreed to where it is offered: phones may then send nothing while nobody speaks.
    comfort_noise: bool = False
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

    @field_validator("sip_udp", "sip_tcp", "sip_tls", "dns_servers")
    @classmethod
    def _listens(cls, value: str) -> str:
        _addresses(value)
        return value

    @model_validator(mode="after")
    def _certificate(self) -> Self:
        if self.sip_tls and self.tls_certificate is None:
            raise ValueError("sip_tls needs tls_certificate and tls_key")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key come together")
        return self

    @property
    def registers_trunks(self) -> bool:
        """`media-0` of a stateful set does, `media-1` does not, and a node that stands alone does."""
        if self.trunk_registrations is not None:
            return self.trunk_registrations
        return re.search(r"-0*[1-9][0-9]*$", self.node) is None

    @field_validator("sha256_agents")
    @classmethod
    def _expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @field_validator("media_networks")
    @classmethod
    def _few_networks(cls, value: str) -> str:
        if len(networks(value)) > 4:
            raise ValueError("media_networks: at most 4")
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
        hosts = [address[0] for address in (*self.udp_addresses, *self.tcp_addresses, *self.tls_addresses)]
        return any(host.startswith("127.") or host in ("::1", "localhost") for host in hosts)

    @property
    def media_ports(self) -> range:
        """`plane_ports` as numbers."""
        low, _, high = self.plane_ports.partition("-")
        return range(int(low), int(high) + 1) if high else range(0)

    @property
    def udp_addresses(self) -> tuple[Address, ...]:
        """Where SIP over UDP listens."""
        return _addresses(self.sip_udp)

    @property
    def tcp_addresses(self) -> tuple[Address, ...]:
        """Where SIP over TCP listens."""
        return _addresses(self.sip_tcp)

    @property
    def tls_addresses(self) -> tuple[Address, ...]:
        """Where SIP over TLS listens."""
        return _addresses(self.sip_tls)

    @property
    def families(self) -> tuple[Literal["A", "AAAA"], ...]:
        """Addresses of trunks that we can send from: IPv6 only where SIP listens on it."""
        v6 = any(":" in host for host, _ in (*self.udp_addresses, *self.tcp_addresses, *self.tls_addresses))
        return ("A", "AAAA") if v6 else ("A",)

    @property
    def name_servers(self) -> tuple[Address, ...]:
        """`dns_servers` as addresses."""
        return _addresses(self.dns_servers)
