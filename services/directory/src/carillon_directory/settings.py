"""Settings of the directory: those of every service, and its own limits."""

from pydantic import Field

from carillon_kit.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """See `carillon_kit.settings` for names and sources."""

    #: Tenants whose folded configuration is kept in memory.
    cached_tenants: int = Field(default=1000, ge=1)
    #: Decisions made for one write that other writers of the tenant outrun, before the client is told to try again.
    write_attempts: int = Field(default=10, ge=1)
    #: Between two looks at whether the stream of changes is whole.
    stream_check_seconds: float = Field(default=60, gt=0)
