"""A user's calls as others of the house see them: one dialog for each leg, in the words of RFC 4235.

Invariant: tags are told as the user's phone has them, so that a watcher's INVITE with Replaces finds the leg; a dialog keeps its id.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from carillon_media.domain.state import CallState, Leg, Parked, Talking, side_of
from carillon_sip.dialog_info import DialogStateName, Participant, WatchedDialog
from carillon_sip.uri import Uri

_STATES: dict[str, DialogStateName] = {"offered": "trying", "ringing": "early", "answered": "confirmed", "ended": "terminated"}
_WITHHELD = Participant("sip:anonymous@anonymous.invalid", "Anonymous")


@dataclass(frozen=True, slots=True)
class LegDialog:
    """What the dialog of a leg's SIP session is known by: ours is the local tag. Empty while there is none."""

    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""


@dataclass(frozen=True, slots=True)
class House:
    """What is known of the tenant: its realm, and its users' names by id."""

    realm: str
    name_of: Callable[[str], str]

    def participant(self, number: str, name: str = "", *, held: bool = False) -> Participant:
        """Somebody by number."""
        if not number:
            return replace(_WITHHELD, held=held)
        return Participant(str(Uri("sip", number, self.realm)), name, held=held)


def dialogs(state: CallState, user_id: str, number: str, house: House, dialog_of: Callable[[str], LegDialog]) -> Iterator[WatchedDialog]:
    """Every leg of the user in this call; `number` is the user's extension, `dialog_of` gives a leg's SIP dialog by its id."""
    for leg in state.legs.values():
        if leg.party != user_id:
            continue
        sip = dialog_of(leg.leg_id)
        initiator = side_of(leg.leg_id) == "caller"
        yield WatchedDialog(
            id=f"{state.facts.call_id}-{leg.leg_id}",
            state=_STATES[leg.state],
            direction="initiator" if initiator else "recipient",
            local=house.participant(number or leg.number, house.name_of(user_id), held=leg.held),
            remote=_remote(state, leg, house, initiator),
            call_id=sip.call_id,
            local_tag=sip.remote_tag,
            remote_tag=sip.local_tag,
        )


def slot_name(slot: str) -> str:
    """What a parking slot is called where users are called by their id, which has no colon."""
    return f"slot:{slot}"


def in_slot(state: CallState, name: str, house: House) -> Iterator[WatchedDialog]:
    """The call that waits in a slot (by `slot_name`), as if the slot talked with it: a key that watches the slot lights up."""
    phase = state.phase
    if isinstance(phase, Parked) and slot_name(phase.slot) == name:
        anchor = state.legs[state.anchor]
        yield WatchedDialog(
            id=f"{state.facts.call_id}-{phase.slot}",
            state="confirmed",
            direction="recipient",
            local=house.participant(phase.slot),
            remote=house.participant(anchor.number, house.name_of(anchor.party)),
        )


def told(before: Sequence[WatchedDialog], now: Sequence[WatchedDialog]) -> tuple[WatchedDialog, ...]:
    """What has changed: dialogs that are new or differ, and as terminated those that are not there any more."""
    known, left = {dialog.id: dialog for dialog in before}, {dialog.id for dialog in now}
    gone = [replace(dialog, state="terminated") for dialog in before if dialog.id not in left]
    return (*(dialog for dialog in now if known.get(dialog.id) != dialog), *gone)


def _remote(state: CallState, leg: Leg, house: House, initiator: bool) -> Participant:
    phase, facts = state.phase, state.facts
    other = None
    if isinstance(phase, Talking) and leg.leg_id in (state.anchor, phase.peer):
        other = state.legs.get(phase.peer if leg.leg_id == state.anchor else state.anchor)
    if other is not None and side_of(other.leg_id) != "caller":
        return house.participant(other.number, house.name_of(other.party))
    if initiator:
        return house.participant(facts.dialled)
    return house.participant(*state.shown(facts.caller, facts.caller_name))
