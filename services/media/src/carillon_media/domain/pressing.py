"""What is pressed while two talk, or one hears the other before the answer: it is passed on; in a talk it may be a code that opens a door,
or parks the other side.

Invariant: the digits themselves pass on to the other side whatever they mean here, unless one of the two is on hold; they are in no event.
"""

from carillon_contracts import call as events
from carillon_media.domain import holding, inputs, outputs, talk_recording, transferring
from carillon_media.domain.state import CallState, Leg, Ringing, Talking

#: Seconds between two digits of one code.
BETWEEN_DIGITS = 4.0
#: Longest code.
MAX_CODE = 8
BY_PHONE = "phone"


def on_digit(call: CallState, phase: Talking, given: inputs.DigitPressed) -> None:
    """One more digit of a code, perhaps."""
    leg, reach = call.legs.get(given.leg_id), call.reach
    if leg is None or reach is None or leg.leg_id not in (call.anchor, phase.peer):
        return
    whose, before, at = call.pressed
    fresh = whose == leg.leg_id and call.now - at <= BETWEEN_DIGITS
    pressed = (before if fresh else "")[1 - MAX_CODE :] + given.digit
    call.pressed = (leg.leg_id, pressed, call.now)
    other = call.legs[holding.other_than(call, phase, leg.leg_id)]
    if not leg.held and not other.held:
        _pass_on(call, other.leg_id, given)
    door = reach.door_phone(call.facts.tenant, other.party)
    park_digits, destination = reach.park_digits(call.facts.tenant)
    if door is not None and pressed.endswith(door.open_digits):
        call.pressed = ("", "", 0.0)
        open_door(call, other, door.lock_digits, leg.party)
    elif talk_recording.is_key(phase, leg, pressed):
        call.pressed = ("", "", 0.0)
        talk_recording.on_key(call, phase, leg)
    elif park_digits and pressed.endswith(park_digits) and transferring.transfers(call, phase, leg):
        call.pressed = ("", "", 0.0)
        transferring.begin(call, phase, leg, destination, BY_PHONE, release=False)


def before_answer(call: CallState, phase: Ringing, given: inputs.DigitPressed) -> None:
    """Who is heard before it answers may ask for keys, as carriers' machines do."""
    if phase.early and given.leg_id in (call.anchor, phase.early):
        _pass_on(call, phase.early if given.leg_id == call.anchor else call.anchor, given)


def _pass_on(call: CallState, leg_id: str, given: inputs.DigitPressed) -> None:
    """By a name that no key before a kill has had: no event is written of a key, so what is kept does not count it."""
    call.do(outputs.PassKey(leg_id, call.name(f"key-{call.seq}"), given.digit, given.heard, given.held_ms, given.leg_id))


def open_door(call: CallState, door: Leg, lock_digits: str, by: str) -> None:
    """The door phone hears what opens it."""
    call.journal(events.DoorOpened(by=by), door.leg_id)
    call.do(outputs.SendDigits(door.leg_id, call.name("digits"), lock_digits))
