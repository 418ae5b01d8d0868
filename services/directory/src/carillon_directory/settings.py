"""Settings of the directory: those of every service, and its own limits."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from carillon_directory.domain.provisioning.makers import MAKERS
from carillon_kit.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """See `carillon_kit.settings` for names and sources."""

    #: Tenants whose folded configuration is kept in memory.
    cached_tenants: int = Field(default=1000, ge=1)
    #: Decisions made for one write that other writers of the tenant outrun, before the client is told to try again.
    write_attempts: int = Field(default=10, ge=1)
    #: Routing's `host:port`, which runs the tests of plans before they are activated; empty: only by force.
    routing: str = ""
    #: Media's and cdr's `host:port`, for the status of lines; empty: it lacks what they know.
    media: str = ""
    cdr: str = ""
    #: Between two looks at whether the stream of changes is whole.
    stream_check_seconds: float = Field(default=60, gt=0)
    #: Between two looks at what erasures wait for; and how long a rewritten log's old copy stays on the bus, for who reads it.
    erasure_seconds: float = Field(default=5, gt=0)
    erasure_grace_seconds: float = Field(default=30, ge=0)
    #: `host:port` where phones fetch their settings over HTTP; empty: nowhere.
    provisioning_listen: str = ""
    #: As phones know that door, with the scheme: `https://pbx.example.com`.
    provisioning_url: str = "http://127.0.0.1"
    #: The door's own certificate chain and key (PEM); without them TLS is the ingress's.
    provisioning_certificate: Path | None = None
    provisioning_key: Path | None = None
    #: Authorities whose certificates phones show instead of a secret, by maker (`*`: any):
    #: `yealink=/etc/yealink.pem,*=/etc/own.pem`. Only with the door's own certificate.
    provisioning_client_authorities: str = ""
    #: The door's peers are an ingress of ours, which says who asks in X-Forwarded-For.
    provisioning_behind_ingress: bool = False
    #: Where phones register: `host:port`, and over what.
    provisioning_sip: str = "127.0.0.1:5060"
    provisioning_transport: Literal["udp", "tcp", "tls"] = "udp"
    #: Where people choose their password, for letters: `https://pbx.example.com`; empty: the letter has the code alone.
    console_url: str = ""
    #: How long a person's or a system's token counts, and a login that is not used.
    access_token_seconds: float = Field(default=600, ge=60, le=3600)
    refresh_token_days: float = Field(default=14, gt=0, le=365)
    #: Tokens are signed with a new key so often; an old one counts once as long again.
    token_key_hours: float = Field(default=24, ge=2, le=24)
    #: `host:port` where browsers call by Connect and gRPC-Web, over HTTP (TLS is the ingress's); empty: nowhere.
    web_listen: str = ""
    #: Origins of the pages that may call, separated by commas: `https://admin.example.com`; `*` allows any.
    web_origins: str = ""
    #: Where browsers' calls of other packages go: `carillon.media.v1=media:7003,carillon.cdr.v1=cdr:7005`.
    web_upstreams: str = ""

    @field_validator("provisioning_sip")
    @classmethod
    def _sip(cls, value: str) -> str:
        if not re.fullmatch(r".+:[0-9]{1,5}", value):
            raise ValueError(f"{value!r} is not host:port")
        return value

    @field_validator("provisioning_client_authorities")
    @classmethod
    def _makers(cls, value: str) -> str:
        for item in filter(None, (part.strip() for part in value.split(","))):
            maker, equals, path = item.partition("=")
            if not equals or not path or (maker != "*" and maker not in MAKERS):
                raise ValueError(f"{item!r} is not maker=file; makers are *, {', '.join(MAKERS)}")
        return value

    @field_validator("web_upstreams")
    @classmethod
    def _pairs(cls, value: str) -> str:
        _pairs(value)
        return value

    @property
    def client_authorities(self) -> tuple[tuple[str, Path], ...]:
        """`provisioning_client_authorities` as (maker, file)."""
        items = (part.strip().partition("=") for part in self.provisioning_client_authorities.split(",") if part.strip())
        return tuple((maker, Path(path)) for maker, _, path in items)

    @property
    def upstreams(self) -> dict[str, str]:
        """`web_upstreams` as package to `host:port`."""
        return _pairs(self.web_upstreams)

    @property
    def origins(self) -> tuple[str, ...]:
        """`web_origins` one by one."""
        return tuple(filter(None, (origin.strip().rstrip("/") for origin in self.web_origins.split(","))))


def _pairs(value: str) -> dict[str, str]:
    found = {}
    for item in filter(None, (part.strip() for part in value.split(","))):
        package, equals, target = item.partition("=")
        if not equals or not package or not re.fullmatch(r".+:[0-9]{1,5}", target):
            raise ValueError(f"{item!r} is not package=host:port")
        found[package] = target
    return found
