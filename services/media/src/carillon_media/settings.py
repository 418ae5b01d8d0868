"""Settings of the media service."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from carillon_kit.settings import ServiceSettings

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
    #: User agents (regular expression) that are offered SHA-256 beside MD5; `.*` for all. See `handlers.admission.Doorkeeper`.
    sha256_agents: str = r"^(carillon|linphone|snom|pjsip|pjsua|microsip|zoiper|asterisk|sip\.js|jssip)"
    #: Calls at once; more are refused with 503 and Retry-After.
    max_calls: int = Field(default=5000, ge=1)
    #: A call is ended after this.
    max_call_hours: float = Field(default=12.0, gt=0)
    #: A leg from which nothing was heard for so long has left, unless one side is on hold; 0: never.
    silence_seconds: float = Field(default=300.0, ge=0)
    #: At the end: how long calls may go on before they are cut.
    drain_seconds: float = Field(default=0.0, ge=0)
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

    @property
    def udp_address(self) -> Address | None:
        """Where SIP over UDP listens."""
        return _address(self.sip_udp) if self.sip_udp else None

    @property
    def tcp_address(self) -> Address | None:
        """Where SIP over TCP listens."""
        return _address(self.sip_tcp) if self.sip_tcp else None
