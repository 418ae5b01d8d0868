"""A subscription as its node keeps it over the death of the process: its dialog, who watches what, and how far its counts went.

Invariant: `count` is above every CSeq and document version that was sent, so that a process that starts from it goes on above them
(RFC 3261 section 12.2.1.1, RFC 4235 section 4.1: what is not higher is thrown away by the watcher).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow

#: Counts are kept so far ahead, and kept again when less than half of that is left: not at every NOTIFY.
RESERVE = 1000
_MAX_COUNT = 2**31 - 1 - 2 * RESERVE


class KeptWatcher(BaseModel):
    """`key` names the subscription, `expires_at` is wall-clock time in seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    key: str
    account: str
    package: str
    tenant: str
    about: str
    entity: str
    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    route_set: tuple[str, ...]
    remote_cseq: int | None
    transport: Literal["udp", "tcp", "tls"]
    local_address: tuple[str, int]
    remote_address: tuple[str, int]
    contact: str
    event_id: str
    expires_at: float
    count: int = Field(ge=0, le=_MAX_COUNT)

    @property
    def flow(self) -> Flow:
        """Where its NOTIFYs go."""
        return Flow(self.transport, self.local_address, self.remote_address)

    @property
    def dialog(self) -> Dialog:
        """As it goes on."""
        return Dialog(
            self.call_id,
            self.local_tag,
            self.remote_tag,
            self.local,
            self.remote,
            self.remote_target,
            self.route_set,
            local_cseq=self.count,
            remote_cseq=self.remote_cseq,
        )

    @classmethod
    def read(cls, data: bytes) -> "KeptWatcher | None":
        """None: it is no such thing."""
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None


def key_of(dialog: Dialog, package: str, event_id: str) -> str:
    """Unique, because our tag is."""
    return f"{dialog.local_tag} {package} {event_id}"
