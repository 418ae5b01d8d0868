"""Event package "dialog" (RFC 4235): the calls of a user, for busy lamps and pickup.

Invariant: a watcher's versions go up by one from 0 with each NOTIFY; a partial state tells only the dialogs that changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree.ElementTree import Element

from carillon_sip.xml_body import child, root, to_bytes

EVENT = "dialog"
CONTENT_TYPE = "application/dialog-info+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
DialogStateName: TypeAlias = Literal["trying", "proceeding", "early", "confirmed", "terminated"]
Direction: TypeAlias = Literal["initiator", "recipient"]
#: Why a dialog changed (section 3.7.1); only beside "terminated".
Reason: TypeAlias = Literal["", "cancelled", "rejected", "replaced", "local-bye", "remote-bye", "error", "timeout"]


@dataclass(frozen=True, slots=True)
class Participant:
    """One end: identity is a URI; `target` the Contact's URI; `held`: it hears nobody (`sip.rendering` no)."""

    identity: str
    display_name: str = ""
    target: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class WatchedDialog:
    """One dialog of the watched user, as the user's end sees it: `local` is the user. `id` is the same in every NOTIFY."""

    id: str
    state: DialogStateName
    direction: Direction
    local: Participant | None = None
    remote: Participant | None = None
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    reason: Reason = ""
    code: int | None = None
    duration: int | None = None


def dialog_info(entity: str, version: int, dialogs: Iterable[WatchedDialog], *, full: bool = True) -> bytes:
    """The document about `entity` (the user's URI)."""
    top = root("dialog-info", _NAMESPACE, version=str(version), state="full" if full else "partial", entity=entity)
    for dialog in dialogs:
        _dialog(top, dialog)
    return to_bytes(top)


def changes(before: Sequence[WatchedDialog], now: Sequence[WatchedDialog]) -> tuple[WatchedDialog, ...]:
    """What a partial state tells: dialogs that are new or differ. One that vanished must be told as terminated first."""
    known = {dialog.id: dialog for dialog in before}
    return tuple(dialog for dialog in now if known.get(dialog.id) != dialog)


def _dialog(top: Element, dialog: WatchedDialog) -> None:
    made = child(
        top,
        "dialog",
        id=dialog.id,
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=dialog.remote_tag,
        direction=dialog.direction,
    )
    code = str(dialog.code) if dialog.code is not None else ""
    child(made, "state", dialog.state, event=dialog.reason if dialog.state == "terminated" else "", code=code)
    if dialog.duration is not None:
        child(made, "duration", str(dialog.duration))
    for name, participant in (("local", dialog.local), ("remote", dialog.remote)):
        if participant is not None:
            end = child(made, name)
            child(end, "identity", participant.identity, display=participant.display_name)
            target = child(end, "target", uri=participant.target or participant.identity)
            if participant.held:
                child(target, "param", pname="+sip.rendering", pval="no")
