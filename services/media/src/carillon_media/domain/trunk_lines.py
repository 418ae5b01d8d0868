"""A trunk as calls and registrations need it, made of its configuration.

Invariant: a line never changes; a new configuration makes new ones. What is secret in it is not in its repr.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from carillon_contracts.config import Trunk, TrunkCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_sip.digest import Credentials
from carillon_sip.flow import Transport
from carillon_sip.locate import Destination

#: Opens the sealed password of a tenant's credential; None: it cannot be opened with this installation's key.
OpenPassword = Callable[[str, TrunkCredential], str | None]


@dataclass(frozen=True, slots=True)
class TrunkAddress:
    """A trunk's server; `host` is a name or an IP address, `port` and `transport` are None when DNS tells them."""

    tenant: str
    trunk_id: str
    host: str
    port: int | None
    transport: Transport | None
    #: Lower is tried first; equals share the calls.
    priority: int = 0

    @property
    def destination(self) -> Destination:
        """What is looked for."""
        return Destination(self.host, self.port, self.transport)


@dataclass(frozen=True, slots=True)
class TrunkLine:
    """One trunk of one tenant."""

    tenant: str
    trunk: Trunk
    #: In the order of being tried.
    servers: tuple[TrunkAddress, ...]
    #: ISO 3166; its numbers are national.
    country: str
    #: Shown to the carrier, never to the called, when the caller withholds its own.
    main_number: str
    credentials: Credentials | None = field(default=None, repr=False)
    #: Why it cannot work as it is configured; empty: it can.
    fault: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Tenant and trunk id."""
        return self.tenant, self.trunk.id

    @property
    def account(self) -> str:
        """User part that the carrier knows us by; empty: by our address alone."""
        registration = self.trunk.registration
        named = registration.user if registration is not None else ""
        return named or (self.credentials.username.partition("@")[0] if self.credentials is not None else "")

    @property
    def domain(self) -> str:
        """Domain that the carrier knows our callers by; empty: ours."""
        registration = self.trunk.registration
        return self.trunk.identity.domain or (self.registrar if registration is not None else "")

    @property
    def registrar(self) -> str:
        """Domain that we register at."""
        registration = self.trunk.registration
        host = f"[{self.trunk.host}]" if ":" in self.trunk.host else self.trunk.host
        return (registration.domain if registration is not None else "") or host


def _transport(name: Literal["udp", "tcp", "tls", "auto"]) -> Transport | None:
    return None if name == "auto" else name


def servers_of(tenant: str, trunk: Trunk) -> tuple[TrunkAddress, ...]:
    """Its own address first, the others by priority, in the order given among equals."""
    own = TrunkAddress(tenant, trunk.id, trunk.host, trunk.port, _transport(trunk.transport))
    others = sorted(trunk.servers, key=lambda server: server.priority)
    return (own, *(TrunkAddress(tenant, trunk.id, each.host, each.port, _transport(each.transport), each.priority) for each in others))


def shared(servers: Sequence[TrunkAddress], call_id: str) -> list[TrunkAddress]:
    """The servers as one call tries them: by priority, equals in an order drawn by the call (rendezvous hashing), so that each of n equals
    is first for an n-th of the calls, and its calls are shared by all others when it is away. Without a call in the order given."""

    def drawn(server: TrunkAddress) -> tuple[int, bytes]:
        text = f"{call_id} {server.host} {server.port} {server.transport}"
        return server.priority, sha256(text.encode()).digest() if call_id else b""

    return sorted(servers, key=drawn)


def lines_of(config: TenantConfig, open_password: OpenPassword) -> Mapping[str, TrunkLine]:
    """Every trunk of a tenant by id."""
    return {trunk.id: _line(config, trunk, open_password) for trunk in config.trunks.values()}


def _line(config: TenantConfig, trunk: Trunk, open_password: OpenPassword) -> TrunkLine:
    tenant = config.tenant_id
    credential = config.trunk_credentials.get(trunk.trunk_credential_id)
    credentials, fault = None, ""
    if credential is not None:
        password = open_password(tenant, credential)
        if password is None:
            fault = "the password cannot be opened with this installation's key; set it again"
        else:
            credentials = Credentials(credential.username, password, credential.realm)
    country, main_number = config.tenant.country, config.tenant.main_number
    return TrunkLine(tenant, trunk, servers_of(tenant, trunk), country, main_number, credentials, fault)
