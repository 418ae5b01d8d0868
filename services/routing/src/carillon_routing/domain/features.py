"""What is done by code: pickup, parking, intercom, paging, supervision, and what `attendance` and `feature_settings` do.

Always: who may not is told so and nothing else happens; a parked call that nobody takes rings at who parked it, then goes where its lot
says, else is parked again.
"""

from collections.abc import Mapping

from carillon_contracts.config import Extension, ParkingLot, User
from carillon_contracts.feature_codes import Coded, lot_of, picks_up_for, rung_at
from carillon_routing.domain import attendance, call_back, hot_desk, operators
from carillon_routing.domain.cursor import FeatureWait
from carillon_routing.domain.disturbing import left_alone
from carillon_routing.domain.facts import Delegate, HangUp, Ring, RingResult, UserTarget
from carillon_routing.domain.feature_phrases import phrase
from carillon_routing.domain.feature_settings import language_of, say
from carillon_routing.domain.feature_steps import (
    FeatureOutcome,
    NothingTaken,
    Page,
    PageOver,
    Park,
    ParkOver,
    PickUp,
    Supervise,
    SuperviseMode,
    SuperviseOver,
)
from carillon_routing.domain.identity import shown_inside
from carillon_routing.domain.walk import ENDS, Move, Stop, ToDestination, Walk, name_of

PAGE_ANSWER_MS = 4000
#: A call that cannot be parked goes back to who wanted it parked.
NO_SLOT = HangUp(34, 503, "no parking slot is free")


def enter(walk: Walk, coded: Coded) -> Move:
    """Do it; of a call that a user has sent there its other side is what it is about."""
    subject = f"feature {coded.feature} {coded.code or coded.argument}"
    match coded.feature:
        case "pick_up_group":
            return _pick_up_group(walk, subject)
        case "pick_up":
            return _pick_up(walk, subject, coded.argument)
        case "park" if coded.slot and not walk.sent:
            walk.note(subject, True, f"{coded.argument} is a slot: what is parked there is taken back")
            return Stop(PickUp(slot=coded.argument), FeatureWait("take"))
        case "park":
            return _park(walk, subject, coded.argument)
        case "intercom":
            return _intercom(walk, subject, coded.argument)
        case "page":
            return _page(walk, subject, coded.argument)
        case "listen" | "whisper" | "barge" as mode:
            return _supervise(walk, subject, coded.argument, mode)
        case "agent_login" | "agent_logout" | "agent_pause":
            return attendance.enter(walk, coded)
        case "voicemail":
            return listen(walk, subject, coded.argument)
        case "operator":
            return operators.called(walk)
        case "phone_login" | "phone_logout":
            return hot_desk.enter(walk, coded)
        case "call_back_off":
            return call_back.cancel(walk, coded)
        case _:
            walk.note(subject, False, "this feature is not there")
            return say(walk, "not_allowed")


def went_on(walk: Walk, wait: FeatureWait, outcome: FeatureOutcome) -> Move:
    """What comes after the step."""
    match outcome:
        case ParkOver(result, slot):
            return _parked(walk, wait, result, slot)
        case NothingTaken():
            walk.note("take over", False, "there was nothing to take")
            return say(walk, "nothing_there")
        case SuperviseOver(took_part):
            walk.note("supervise", took_part, "the talk is over" if took_part else "nobody talks there")
            return Stop(ENDS["answered"]) if took_part else say(walk, "nobody_talks")
        case PageOver(reached):
            walk.note("page", reached > 0, f"{reached} phones listened")
            return Stop(ENDS["answered"]) if reached else say(walk, "nobody_listens")


def rang(walk: Walk, wait: FeatureWait, result: RingResult) -> Move:
    """An intercom is over, or a recall of a parked call."""
    lot = walk.config.parking_lots.get(wait.lot_id)
    if wait.what != "recall" or result == "answered" or lot is None:
        return Stop(ENDS[result])
    if lot.no_answer is not None:
        walk.note(f"parking_lot/{lot.id} no_answer", True, f"the recall was {result}", name_of(lot.no_answer))
        return ToDestination(lot.no_answer)
    walk.note(f"parking_lot/{lot.id}", True, f"the recall was {result}; the lot has no other way: parked again", wait.slot)
    slots = (wait.slot, *(slot for slot in lot.slots if slot != wait.slot))
    return Stop(Park(slots, _recall_seconds(walk, lot, wait.user_id) * 1000), FeatureWait("park", lot.id, "", wait.user_id))


# -- pickup -----------------------------------------------------------------------------------------------------------


def _pick_up_group(walk: Walk, subject: str) -> Move:
    own = walk.call.caller_user_id
    groups = [group for group in walk.config.pickup_groups.values() if own in group.user_ids]
    users = picks_up_for(walk.config, own)
    if not users:
        walk.note(subject, False, f"user/{own} is in no pickup group with anybody else")
        return say(walk, "not_allowed")
    walk.note(subject, True, f"pickup groups of user/{own}: {', '.join(group.id for group in groups)}")
    return Stop(PickUp(users), FeatureWait("take"))


def _pick_up(walk: Walk, subject: str, extension: str) -> Move:
    users = rung_at(walk.config, extension)
    if not users:
        walk.note(subject, False, f"{extension} is no extension at which phones ring")
        return say(walk, "no_such_extension")
    own = walk.call.caller_user_id
    if walk.config.tenant.pickup_scope == "group":
        with_own = {user for group in walk.config.pickup_groups.values() if own in group.user_ids for user in group.user_ids}
        users = tuple(user for user in users if user in with_own)
        if not users:
            walk.note(subject, False, f"user/{own} is in no pickup group with who rings at {extension}")
            return say(walk, "not_allowed")
    walk.note(subject, True, f"takes what rings at {extension}: {', '.join(users)}")
    return Stop(PickUp(users), FeatureWait("take"))


# -- parking ----------------------------------------------------------------------------------------------------------


def _park(walk: Walk, subject: str, slot: str) -> Move:
    lots = walk.config.parking_lots
    lot = lots.get(lot_of(walk.config, slot)) if slot else next(iter(lots.values()), None)
    if lot is None:
        walk.note(subject, False, f"no parking lot has a slot {slot}" if slot else "there is no parking lot")
        return Stop(NO_SLOT)
    seconds = _recall_seconds(walk, lot, walk.call.caller_user_id)
    walk.note(subject, True, f"parks in {slot or 'the first free slot'} of parking_lot/{lot.id} for {seconds} s")
    language = language_of(walk)
    paged = walk.config.paging_groups.get(lot.paging_group_id)
    step = Park(
        (slot,) if slot else lot.slots,
        seconds * 1000,
        (phrase("parked", language),),
        paged.user_ids if paged is not None else (),
        (phrase("parked_page", walk.config.tenant.language),) if paged is not None else (),
    )
    return Stop(step, FeatureWait("park", lot.id, "", walk.call.caller_user_id))


def _recall_seconds(walk: Walk, lot: ParkingLot, user_id: str) -> int:
    """After how long who parked the call is called back; a secretary no later than reminded of who waits for another user."""
    reminded = walk.config.derived("routing secretaries' reminders", User, _reminders).get(user_id)
    return lot.recall_seconds if reminded is None else min(lot.recall_seconds, reminded)


def _reminders(users: Mapping[str, User]) -> dict[str, int]:
    """Seconds until a secretary is reminded, by secretary; the fewest."""
    found: dict[str, int] = {}
    for rule in (user.secretary for user in users.values()):
        if rule is not None and rule.reminder_seconds:
            found[rule.user_id] = min(rule.reminder_seconds, found.get(rule.user_id, rule.reminder_seconds))
    return found


def _parked(walk: Walk, wait: FeatureWait, result: str, slot: str) -> Move:
    lot = walk.config.parking_lots.get(wait.lot_id)
    if result == "no_slot":
        walk.note(f"parking_lot/{wait.lot_id}", False, "no slot is free")
        return Stop(NO_SLOT)
    if lot is None or wait.user_id not in walk.config.users:
        walk.note(f"parking_lot/{wait.lot_id}", False, "nobody took the call back, and there is nobody to call")
        return rang(walk, FeatureWait("recall", wait.lot_id, slot, wait.user_id), "unreachable")
    return _recall(walk, lot, slot, wait.user_id)


def _recall(walk: Walk, lot: ParkingLot, slot: str, user_id: str) -> Move:
    walk.note(f"parking_lot/{lot.id}", True, f"nobody took the call back within {_recall_seconds(walk, lot, user_id)} s", f"user/{user_id}")
    number, name = shown_inside(walk.config, walk.call)
    target = UserTarget(f"user:{user_id}", user_id, 0, lot.recall_ring_seconds * 1000)
    return Stop(Ring((target,), number, name), FeatureWait("recall", lot.id, slot, user_id))


# -- intercom, paging, supervision --------------------------------------------------------------------------------------


def _intercom(walk: Walk, subject: str, extension: str) -> Move:
    user = _user_at(walk, extension)
    if user is None:
        walk.note(subject, False, f"{extension} is no user's extension")
        return say(walk, "no_such_extension")
    if _undisturbed(walk, user.id):
        walk.note(subject, False, f"user/{user.id} is not to be disturbed")
        return Stop(ENDS["busy"])
    walk.note(subject, True, "the phone answers by itself", f"user/{user.id}")
    number, name = shown_inside(walk.config, walk.call)
    target = UserTarget(f"user:{user.id}", user.id, 0, user.ring_seconds * 1000)
    return Stop(Ring((target,), number, name, auto_answer=True), FeatureWait("intercom", "", "", user.id))


def _page(walk: Walk, subject: str, number: str) -> Move:
    own = walk.call.caller_user_id
    group = next((group for group in walk.config.paging_groups.values() if group.number == number), None)
    if group is None:
        walk.note(subject, False, f"no paging group has the number {number}")
        return say(walk, "no_such_extension")
    if group.allowed_user_ids and own not in group.allowed_user_ids:
        walk.note(subject, False, f"user/{own} may not page paging_group/{group.id}")
        return say(walk, "not_allowed")
    users = tuple(user for user in group.user_ids if user != own and not _undisturbed(walk, user))
    walk.note(subject, True, f"speaks to {len(users)} users of paging_group/{group.id}")
    shown, name = shown_inside(walk.config, walk.call)
    return Stop(Page(users, shown, name, PAGE_ANSWER_MS), FeatureWait("page"))


def _undisturbed(walk: Walk, user_id: str) -> bool:
    user = walk.config.users.get(user_id)
    if user is None:
        return True
    reason, trace = left_alone(walk.config, walk.call, walk.now, user, through=False)
    walk.noted(trace)
    return bool(reason)


def _supervise(walk: Walk, subject: str, extension: str, mode: SuperviseMode) -> Move:
    user, own = _user_at(walk, extension), walk.call.caller_user_id
    if user is None:
        walk.note(subject, False, f"{extension} is no user's extension")
        return say(walk, "no_such_extension")
    rights = [each for each in walk.config.supervisions.values() if own in each.supervisor_user_ids and user.id in each.user_ids]
    modes = tuple(dict.fromkeys(each for right in rights for each in right.modes))
    if mode not in modes or user.id == own:
        walk.note(subject, False, f"user/{own} may not {mode} to user/{user.id}: {', '.join(modes) or 'nothing'} is allowed")
        return say(walk, "not_allowed")
    walk.note(subject, True, f"by {', '.join(f'supervision/{right.id}' for right in rights)}", f"user/{user.id}")
    return Stop(Supervise(user.id, mode, modes), FeatureWait("supervise"))


# -- messages ---------------------------------------------------------------------------------------------------------


def listen(walk: Walk, subject: str, argument: str) -> Move:
    """The user's own box, or that of an extension (`*`: of one that is asked for), of which voicemail asks for the PIN."""
    user = walk.config.users.get(walk.call.caller_user_id)
    if walk.sent or user is None:
        walk.note(subject, False, "only a user's phone that dials it itself listens to messages")
        return say(walk, "not_allowed")
    arguments = {"language": language_of(walk)}
    if not argument and _has_box(walk, user.id):
        walk.note(subject, True, f"user/{user.id} listens to mailbox/{user.mailbox_id}", "voicemail")
        return Stop(Delegate("voicemail", {"listen": "own", "mailbox_id": user.mailbox_id, **arguments}))
    box = argument.removeprefix("*")
    walk.note(subject, True, f"the box of extension {box}, with its PIN" if box else "a box that is asked for, with its PIN", "voicemail")
    return Stop(Delegate("voicemail", {"listen": "box", **({"box": box} if box else {}), **arguments}))


def own_extension(walk: Walk, extension: Extension) -> Move | None:
    """Who dials their own extension listens; None: it is not theirs, or they have no box."""
    own = walk.call.caller_user_id
    if not own or extension.destination.user_id != own or walk.sent or walk.look_up or not _has_box(walk, own):
        return None
    return listen(walk, f"extension {extension.id}", "")


def _has_box(walk: Walk, user_id: str) -> bool:
    user = walk.config.users.get(user_id)
    return user is not None and user.services.messaging and user.mailbox_id in walk.config.mailboxes


# -- words ------------------------------------------------------------------------------------------------------------


def _user_at(walk: Walk, extension: str) -> User | None:
    found = walk.config.extensions.get(extension)
    return walk.config.users.get(found.destination.user_id or "") if found is not None else None
