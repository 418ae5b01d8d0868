"""Settings that every service has, from `CARILLON_*` environment variables or a folder of secret files.

Invariant: settings are read once, checked, and never change while the process runs; an environment variable wins over a file.
"""

import os
import socket
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base of a service's settings; a field `x` comes from `CARILLON_X`, or the file `carillon_x` (or `x`) in `CARILLON_SECRETS_DIR`."""

    model_config = SettingsConfigDict(env_prefix="CARILLON_", extra="ignore", frozen=True)

    #: `postgresql://role:password@host:port/database`; the role's search_path is the service's schema. Empty: no database.
    postgres_dsn: str = ""
    #: `nats://user:password@host:port`
    nats_url: str = "nats://127.0.0.1:4222"
    #: Where gRPC listens; port 0 takes a free one.
    grpc_listen: str = "127.0.0.1:0"
    #: Key of the tokens (HS256), at least 32 bytes.
    token_key: SecretStr = Field(min_length=32)
    log_level: str = "INFO"
    log_format: Literal["json", "text"] = "json"
    #: This process's name among its replicas.
    node: str = Field(default_factory=socket.gethostname)
    #: OTLP gRPC collector, `http://host:4317`; None: traces are propagated, not exported.
    otlp_endpoint: str | None = None
    #: How long an ordered shutdown may take.
    shutdown_seconds: float = 10

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then files of `CARILLON_SECRETS_DIR`."""
        folder = os.environ.get("CARILLON_SECRETS_DIR")
        sources: list[Any] = [init_settings, env_settings]
        if folder:
            sources += [SecretsSettingsSource(settings_cls, folder), SecretsSettingsSource(settings_cls, folder, env_prefix="")]
        return tuple(sources)
