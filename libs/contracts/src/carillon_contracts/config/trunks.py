"""Carriers, and what we prove ourselves to them with."""

import ipaddress
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from carillon_contracts.config.values import E164, Resource, Shape

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")


def _host_port(value: str) -> str:
    match = _HOST_PORT.fullmatch(value)
    if match is None or int(match.group(2) or 5060) not in range(1, 65536):
        raise ValueError(f"{value!r} is not host or host:port")
    return value


def _network(value: str) -> str:
    """As it is written in full. No network of a whole continent: that would be everybody."""
    network = ipaddress.ip_network(value, strict=False)
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise ValueError(f"{value!r} is too large a network")
    return str(network)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _with_port(data: Any) -> Any:
    """An IP address gets the port of its transport."""
    address = data.get("address") if isinstance(data, dict) else None
    if not isinstance(address, str) or not _HOST_PORT.fullmatch(address) or not _is_ip(address):
        return data
    return data | {"address": f"{address}:{5061 if data.get('transport') == 'tls' else 5060}"}


def _host(address: str) -> str:
    return _HOST_PORT.fullmatch(address)[1].strip("[]").lower()  # type: ignore[index]


def _port(address: str) -> int | None:
    port = _HOST_PORT.fullmatch(address)[2]  # type: ignore[index]
    return int(port) if port else None


#: What may stand in a user part, a user name or a realm: no spaces, quotes, brackets or control characters.
SipWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~!*'&=+$,;?/@:#-]{1,128}$")]
SipDomain = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])?$")]
#: Purpose and context of the seal: `Sealer(key, TRUNK_PASSWORDS).open(sealed_password, tenant id, credential id)`.
TRUNK_PASSWORDS = "trunk passwords"


class TrunkCredential(Resource):
    """What we prove ourselves to a carrier with. The password is kept sealed (`carillon_kit.sealing`): only media opens it."""

    KIND: ClassVar[str] = "trunk_credential"
    PLURAL: ClassVar[str] = "trunk_credentials"
    username: SipWord
    #: Challenges of this realm alone are answered; empty: of any.
    realm: Annotated[str, StringConstraints(pattern=r'^[^"\\\x00-\x1f\x7f]{0,128}$')] = ""
    sealed_password: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,400}$")] = Field(default="", repr=False)


class TrunkServer(Shape):
    """A further server of a trunk, as `Trunk.address`; that one has priority 0."""

    address: Annotated[str, AfterValidator(_host_port)]
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    #: Lower is tried first.
    priority: Annotated[int, Field(ge=0, le=100)] = 1

    @model_validator(mode="before")
    @classmethod
    def _port_of_an_ip_address(cls, data: Any) -> Any:
        return _with_port(data)

    @property
    def host(self) -> str:
        """Name or IP address, in lower case without brackets."""
        return _host(self.address)

    @property
    def port(self) -> int | None:
        """None: DNS tells."""
        return _port(self.address)


class TrunkRegistration(Shape):
    """How we register with the carrier, so that it knows where to send calls to."""

    #: Domain that we register at; empty: the trunk's host.
    domain: SipDomain = ""
    #: User part of the address of record; empty: the credential's user name.
    user: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._~!*'&=+$,;?/#-]{1,64})?$")] = ""
    #: What we ask for; the carrier may grant less.
    expires_seconds: Annotated[int, Field(ge=60, le=86_400)] = 600
    #: The number that is called when the carrier does not say which.
    default_number: E164 | Literal[""] = ""


class TrunkNumberFormat(Shape):
    """How a number in E.164 is written for the carrier: in its style, then digits taken off, then others put before.

    Numbers that are not in E.164 (emergency and short ones) are left as they are.
    """

    #: `+41215550100`, `41215550100`, `0041215550100`; national: `0215550100` within the tenant's country, else as international.
    style: Literal["e164", "plain", "international", "national"] = "e164"
    strip_digits: Annotated[int, Field(ge=0, le=15)] = 0
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{0,15}$")] = ""


class TrunkIncoming(Shape):
    """How the number that the carrier calls becomes one of ours: digits taken off, then others put before."""

    strip_digits: Annotated[int, Field(ge=0, le=15)] = 0
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{0,15}$")] = ""


class TrunkIdentity(Shape):
    """Which headers tell the carrier who calls."""

    #: Domain of From and the asserted identity; empty: the registration's, or else ours.
    domain: SipDomain = ""
    #: Whose number stands in From: the caller's, or the account that we registered with.
    from_number: Literal["caller", "account"] = "caller"
    asserted: Literal["p_asserted_identity", "p_preferred_identity", "none"] = "p_asserted_identity"
    #: What tells that a call was forwarded.
    diversion: Literal["none", "diversion", "history_info", "both"] = "none"


class ShortRange(Shape):
    """Short numbers of another exchange, first to last, of one length: `7000` to `7999`."""

    first: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,7}$")]
    last: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,7}$")]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.first) != len(self.last) or self.first > self.last:
            raise ValueError(f"{self.first} to {self.last} is no range")
        return self

    def holds(self, digits: str) -> bool:
        """Whether the digits are one of them."""
        return len(digits) == len(self.first) and digits.isdecimal() and self.first <= digits <= self.last


class TrunkPrice(Shape):
    """What a carrier asks for calls to numbers that begin with a prefix (`+` for all); of several the longest counts."""

    prefix: Annotated[str, StringConstraints(pattern=r"^\+[0-9]{0,15}$")]
    #: In ten-thousandths of the tenant's currency: 125 is 0.0125.
    per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Trunk(Resource):
    """A carrier known by its address: `host:port`, or a name without port, whose servers DNS tells (RFC 3263).

    An IP address without port gets the transport's: 5060, or 5061 for TLS. Transport `auto`: DNS tells that too, UDP if it does not.
    """

    KIND: ClassVar[str] = "trunk"
    PLURAL: ClassVar[str] = "trunks"
    display_name: str = ""
    address: Annotated[str, AfterValidator(_host_port)]
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+[0-9]*$")], ...] = ()
    priority: int = 0
    #: Tried in the order of their priority when those before are silent or cannot.
    servers: Annotated[tuple[TrunkServer, ...], Field(max_length=8)] = ()
    #: None: the carrier knows us by our address.
    registration: TrunkRegistration | None = None
    trunk_credential_id: str = ""
    dialled_format: TrunkNumberFormat = TrunkNumberFormat()
    caller_format: TrunkNumberFormat = TrunkNumberFormat()
    incoming: TrunkIncoming = TrunkIncoming()
    identity: TrunkIdentity = TrunkIdentity()
    #: OPTIONS to each server so often; 0: never.
    ping_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    #: A server that says nothing at all for so long is given up for the next.
    silence_seconds: Annotated[int, Field(ge=1, le=30)] = 4
    #: Calls at once in both directions, and new calls a second, at each media node; 0: no limit. Calls to emergency numbers pass.
    max_calls: Annotated[int, Field(ge=0, le=100_000)] = 0
    max_calls_per_second: Annotated[int, Field(ge=0, le=10_000)] = 0
    #: Calls at once from the carrier, and to it, over all nodes; 0: no limit. Calls to emergency numbers pass.
    max_calls_in: Annotated[int, Field(ge=0, le=100_000)] = 0
    max_calls_out: Annotated[int, Field(ge=0, le=100_000)] = 0
    #: The trunk leads to another exchange, whose users have these; they are dialled as they are.
    short_ranges: Annotated[tuple[ShortRange, ...], Field(max_length=50)] = ()
    #: Where the carrier's audio may come from besides the address that it describes and that of its SIP.
    media_networks: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(max_length=4)] = ()
    #: SRTP as the installation says for the transport, not at all, offered besides RTP, tried first, or nothing else.
    srtp: Literal["by_transport", "off", "optional", "preferred", "required"] = "by_transport"
    #: Among trunks with the same length of prefix and the same priority the cheapest for the number is tried first, then those without a
    #: price for it.
    prices: Annotated[tuple[TrunkPrice, ...], Field(max_length=5000)] = ()

    @model_validator(mode="before")
    @classmethod
    def _port_of_an_ip_address(cls, data: Any) -> Any:
        return _with_port(data)

    @model_validator(mode="after")
    def _account(self) -> Self:
        if self.registration is not None and not (self.registration.user or self.trunk_credential_id):
            raise ValueError("registration: needs a user or a trunk_credential_id")
        if 0 < self.ping_seconds < 5:
            raise ValueError("ping_seconds: must be 0 or at least 5")
        if len({price.prefix for price in self.prices}) < len(self.prices):
            raise ValueError("prices: each prefix may stand once")
        return self

    @property
    def host(self) -> str:
        """Name or IP address, in lower case without brackets."""
        return _host(self.address)

    @property
    def port(self) -> int | None:
        """None: DNS tells."""
        return _port(self.address)
