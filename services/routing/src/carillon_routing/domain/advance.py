"""The decision of routing: facts of a call, where it stands and what became of the last step, to the next step.

Always: the same arguments give the same answer; every condition that was looked at is in the trace; whatever the configuration refers to,
this ends with a step, within `MAX_HOPS` visits for the whole call.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from pydantic import JsonValue

from carillon_contracts.emergency_numbers import countries_of
from carillon_contracts.feature_codes import recognise
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import (
    call_back,
    codes,
    destinations,
    effects,
    emergency_notices,
    feature_settings,
    features,
    groups,
    hot_desk,
    limits,
    menus,
    outside,
    plans,
    queueing,
    recordings,
    ringbacks,
    users,
)
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.asks import NOTHING, Ask, Known, Lacking, Needs
from carillon_routing.domain.cursor import (
    CallBackWait,
    CodeWait,
    Cursor,
    DeskWait,
    ExternalWait,
    FeatureWait,
    GroupWait,
    MenuWait,
    NoticeWait,
    PlayWait,
    QueueWait,
    RefusedWait,
    StickyWait,
    UserWait,
)
from carillon_routing.domain.dialling import Dialled, ToEmergency, ToExtension, ToNothing, ToOwnNumber, dialled_by_user, dialled_from_trunk
from carillon_routing.domain.dialling import ToOutside as DialledOutside
from carillon_routing.domain.emergencies import emergency_number
from carillon_routing.domain.facts import Advance, CallFacts, Entered, Gathered, GaveUp, Outcome, Played, Rang, Ring, TraceLine
from carillon_routing.domain.feature_steps import NothingTaken, PageOver, ParkOver, SuperviseOver
from carillon_routing.domain.made_of import as_read
from carillon_routing.domain.queue_steps import QueueOver
from carillon_routing.domain.walk import (
    BARRED,
    ENDS,
    LOOP,
    MAX_HOPS,
    SUSPENDED,
    UNKNOWN_NUMBER,
    Move,
    Stop,
    ToDestination,
    ToNode,
    ToOutside,
    ToSender,
    Walk,
    name_of,
)

#: How long an outside number rings that a user dialled.
OUTBOUND_RING_MS = 120_000

#: What begins the name of an argument that is a variable of the call, which whoever sends the call to routing gives it.
VARIABLE = "variables."
#: The argument that names what a user dials by pressing a key in another application: as if their phone had dialled it.
DIAL = "dial"
_DIALLED = re.compile(r"\+?[0-9]{2,15}")
#: The argument of a question before there is a call: whose phones would ring. `emergency_notice`: to tell them of a call for help.
LOOK_UP = "look_up"


class BadOutcome(ValueError):
    """The outcome is none of the step that was asked for."""


def advance(
    config: TenantConfig, call: CallFacts, cursor: Cursor | None, outcome: Outcome, now: datetime, known: Known = NOTHING
) -> Advance | Needs:
    """Decide, or say what must be known first. `cursor` None: the call's first question, with `Entered`.

    Raises `BadOutcome` when cursor and outcome do not belong together, and nothing else. `now` is aware; it decides what schedules say.
    `known` holds what was found out of what was asked; what was read of it comes back in `read`. The tenant exists in the configuration.
    """
    coded = recognise(config, call.dialled) if call.direction == "from_user" else None
    withheld = coded is not None and coded.feature == "withhold"
    walk = Walk(config, call if call.withheld == withheld else replace(call, withheld=withheld), now, known)
    try:
        return _decide(walk, cursor, outcome)
    except Lacking as lacking:
        return Needs(lacking.ask, as_read(walk.read))


def decided(
    config: TenantConfig,
    call: CallFacts,
    cursor: Cursor | None,
    outcome: Outcome,
    now: datetime,
    find_out: Callable[[Ask], JsonValue],
    known: Known = NOTHING,
) -> Advance:
    """`advance` until it decides, with `find_out` for what is not `known`: of a simulation, or of a replay's record."""
    found_out = dict(known)
    while isinstance(found := advance(config, call, cursor, outcome, now, found_out), Needs):
        found_out |= {**found.read, found.ask.key: find_out(found.ask)}
    return found


def _decide(walk: Walk, cursor: Cursor | None, outcome: Outcome) -> Advance:
    config = walk.config
    if cursor is None:
        if not isinstance(outcome, Entered):
            raise BadOutcome(f"{_kind(outcome)} without a cursor: the first question has the outcome entered")
        move = _enter(walk, outcome)
    else:
        walk.take_up(cursor)
        if cursor.config_seq != config.seq:
            reason = f"the call was decided by version {cursor.config_seq}, which is no longer kept; version {config.seq} decides"
            walk.note("configuration", False, reason)
        move = _go_on(walk, cursor, outcome)
    stop = _followed(walk, move)
    while (within := limits.outgoing(walk, stop)) is not stop:
        stop = _followed(walk, within)
    at = None if stop.wait is None else _cursor(walk, stop.wait)
    step = stop.step
    if isinstance(step, Ring):
        step = ringbacks.with_melody(walk, recordings.recorded(walk, step, stop.wait), stop.wait)
    return Advance(step, at, tuple(walk.trace), config.seq, tuple(walk.read), tuple(walk.looked_at))


def _followed(walk: Walk, move: Move) -> Stop:
    while not isinstance(move, Stop):
        move = _follow(walk, move)
    return move


def _cursor(walk: Walk, wait: cursors.Wait) -> Cursor:
    variables = tuple(sorted(walk.variables.items()))
    given = tuple(sorted(walk.codes.items()))
    far, held = (walk.hops, walk.forwards), (walk.places, walk.visits)
    return Cursor(walk.config.seq, wait, walk.sender, walk.language, *far, variables, walk.stack, given, walk.sent, walk.before, *held)


def _follow(walk: Walk, move: ToDestination | ToNode | ToOutside | ToSender) -> Move:
    walk.hops += 1
    if walk.hops > MAX_HOPS:
        walk.trace.append(TraceLine("hop budget", False, f"more than {MAX_HOPS} nodes and destinations in one call", "hang_up"))
        return Stop(LOOP)
    if isinstance(move, ToDestination | ToNode):
        walk.depart()
    match move:
        case ToDestination():
            return destinations.enter(walk, move)
        case ToNode(plan_id, node_id):
            return plans.enter_node(walk, plan_id, node_id)
        case ToOutside():
            return outside.call(walk, move)
        case ToSender():
            return plans.back_to_sender(walk, move)
        case _:
            assert_never(move)


def fax_calls(outcome: object) -> bool:
    """A fax machine's calling tone (CNG) brought the call here."""
    return isinstance(outcome, Entered) and outcome.arguments.get("heard") == "cng"


def _enter(walk: Walk, entered: Entered) -> Move:
    """Where a new call goes, by what was dialled."""
    if order_id := entered.arguments.get(emergency_notices.ARGUMENT):
        return emergency_notices.begin(walk, order_id)
    from_user = walk.call.direction == "from_user"
    walk.sent = bool({"transferred_by", "deflected_by"} & set(entered.arguments))
    walk.visits = entered.visits
    if entered.arguments.get("sent_by") != "caller":
        walk.places = entered.places
        walk.depart()
    if "transferred_by" in entered.arguments:
        walk.before = (entered.arguments.get("stays", "")[:256], entered.arguments.get("recorded_by", "")[:256])
    if not from_user and (languages := walk.config.tenant.caller_languages):
        walk.speak_in(languages)
        walk.note("tenant caller languages", True, f"in the order of this call: {walk.language}")
    for name, value in sorted(entered.arguments.items()):
        if name.startswith(VARIABLE):
            walk.assign(name.removeprefix(VARIABLE), value)
    walk.look_up = LOOK_UP in entered.arguments
    if from_user and _DIALLED.fullmatch(by_key := entered.arguments.get(DIAL, "")):
        walk.note(f"dialled by key {by_key}", True, f"by user/{walk.call.caller_user_id} in place of {walk.call.dialled}", by_key)
        walk.call = replace(walk.call, dialled=by_key)
    dialled = _dialled(walk) if from_user else dialled_from_trunk(walk.config, walk.call.dialled, walk.call.trunk_id)
    if walk.config.tenant.subscription.suspended and not _helps(walk, entered):
        walk.note("tenant subscription", True, "the tenant is suspended: only help is called", "hang_up")
        return Stop(SUSPENDED)
    if from_user and not isinstance(dialled, ToEmergency) and (coded := recognise(walk.config, walk.call.dialled)) is not None:
        if coded.feature in ("forward_on", "forward_off", "dnd_on", "dnd_off"):
            return feature_settings.changed(walk, coded)
        if coded.feature in ("operator", "intercom") and not limits.entering(walk):
            return Stop(limits.OVER)
        if coded.feature not in ("withhold", "call_return", "call_back"):
            return features.enter(walk, coded)
        redial = call_back.by_code if coded.feature == "call_back" else feature_settings.redial
        if (ended := redial(walk, coded)) is not None:
            return ended
        dialled = _dialled(walk)
    caller = walk.call.caller_user_id if from_user else ""
    if not isinstance(dialled, ToEmergency) and not limits.entering(walk):
        return Stop(limits.OVER)
    match dialled:
        case ToEmergency(number):
            countries = " or ".join(sorted(countries_of(walk.config, (walk.call.caller_user_id,))))
            walk.note(f"emergency number {number}", True, f"{number} is one in {countries}; by any trunk", number)
            return ToOutside(number, OUTBOUND_RING_MS)
        case ToExtension(extension):
            to = name_of(extension.destination)
            who = f"user/{walk.call.caller_user_id}" if from_user else walk.call.caller_number or "a withheld number"
            by = "" if from_user else f" by trunk/{walk.call.trunk_id}"
            walk.note(f"extension {extension.id}", True, f"{who} dialled {walk.call.dialled}{by}", to)
            if (listening := features.own_extension(walk, extension)) is not None:
                return listening
            if (barred := outside.inside_barred(walk, caller, extension.id)) is not None:
                return barred
            return ToDestination(extension.destination, for_user_id=caller)
        case ToOwnNumber(number, by):
            if fax_calls(entered) and number.fax_destination is not None:
                return destinations.faxes(walk, number, number.fax_destination)
            if by:
                walk.note(by, True, f"{walk.call.dialled} stands for {number.id}", f"number {number.id}")
            if (barred := outside.inside_barred(walk, caller, number.id)) is not None:
                return barred
            return destinations.own_number(walk, number, f"{walk.call.dialled} was dialled")
        case DialledOutside(number, by):
            if by:
                reason = f"{walk.call.dialled} stands for {number}" if number.startswith("+") else f"{number} is one of that exchange's"
                walk.note(by, True, reason, number)
            else:
                walk.note(f"number {number}", True, f"{walk.call.dialled} was dialled and is none of {walk.config.tenant_id}'s", number)
            return ToOutside(number, OUTBOUND_RING_MS, for_user_id=caller)
        case ToNothing(reason):
            walk.note(f"number {walk.call.dialled}", False, reason, "hang_up")
            return Stop(UNKNOWN_NUMBER)
        case _:
            assert_never(dialled)


def _helps(walk: Walk, entered: Entered) -> bool:
    """Help is called, or those who must know of it."""
    if entered.arguments.get(LOOK_UP) == emergency_notices.ARGUMENT:
        return True
    call = walk.call
    return call.direction == "from_user" and bool(emergency_number(walk.config, call.dialled, call.caller_user_id))


def _dialled(walk: Walk) -> Dialled:
    return dialled_by_user(walk.config, walk.call.dialled, walk.call.caller_user_id)


def _code_given(walk: Walk, wait: CodeWait, gathered: Gathered) -> Move:
    """The call goes on to what was dialled, with the code, or does not."""
    found = codes.given(walk, wait, gathered)
    if not isinstance(found, str):
        return found
    caller, number = walk.call.caller_user_id, wait.number
    walk.codes[wait.kind] = found if wait.kind == "account" else ""
    if number not in walk.config.extensions and number not in walk.config.numbers:
        return ToOutside(number, wait.ring_ms, for_user_id=caller)
    if (barred := outside.inside_barred(walk, caller, number)) is not None:
        return barred
    if (extension := walk.config.extensions.get(number)) is not None:
        return ToDestination(extension.destination, for_user_id=caller)
    return destinations.own_number(walk, walk.config.numbers[number], f"{walk.call.dialled} was dialled")


def _go_on(walk: Walk, cursor: Cursor, outcome: Outcome) -> Move:
    match cursor.wait, outcome:
        case UserWait() as wait, Rang(result, _, cause):
            return users.rang(walk, wait, result, cause)
        case ExternalWait() as wait, Rang(result, _, cause):
            return outside.rang(walk, wait, result, cause)
        case GroupWait() as wait, Rang(result, _, cause):
            return groups.rang(walk, wait, result, cause)
        case StickyWait(user_id), Rang(result):
            return Stop(ENDS["answered"]) if result == "answered" else effects.agent_rang(walk, user_id, result)
        case UserWait() | ExternalWait() | GroupWait() | StickyWait(), GaveUp():
            return plans.gave_up(walk)
        case MenuWait(last=True) as wait, Played():
            return menus.last_words(walk, wait)
        case MenuWait(last=False) as wait, Gathered() as gathered:
            return menus.pressed(walk, wait, gathered)
        case PlayWait(following), Played():
            if following and walk.sender is not None:
                walk.note("announcement", True, "played to its end", f"node {following}")
                return ToNode(walk.sender[0], following)
            walk.note("announcement", True, "played to its end; nothing follows", "hang_up")
            return Stop(ENDS["answered"])
        case CodeWait() as wait, Gathered() as gathered:
            return _code_given(walk, wait, gathered)
        case DeskWait() as wait, Gathered() as gathered:
            return hot_desk.given(walk, wait, gathered)
        case CallBackWait() as wait, Gathered() as gathered:
            return call_back.chosen(walk, wait, gathered)
        case NoticeWait() as wait, Gathered() as gathered:
            return emergency_notices.heard(walk, wait, gathered)
        case RefusedWait(), Played():
            walk.note("announcement", True, "the caller was told", "hang_up")
            return Stop(BARRED)
        case FeatureWait() as wait, Rang(result):
            return features.rang(walk, wait, result)
        case FeatureWait() as wait, ParkOver() | NothingTaken() | SuperviseOver() | PageOver() as outcome:
            return features.went_on(walk, wait, outcome)
        case QueueWait(queue_id), QueueOver(reason):
            return queueing.left(walk, queue_id, reason)
        case wait, _:
            raise BadOutcome(
                f"{_kind(outcome)} does not belong to a cursor that waits for a {type(wait).__name__.removesuffix('Wait').lower()}"
            )


_NAMES = {"Rang": "ring", "Played": "play", "Gathered": "gather", "Recorded": "record", "GaveUp": "gave_up"}


def _kind(outcome: Outcome) -> str:
    return _NAMES.get(type(outcome).__name__, "entered")
