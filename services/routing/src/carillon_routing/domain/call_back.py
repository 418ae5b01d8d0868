"""Call-backs: by code when a colleague talks, offered by voice when every trunk is busy, cancelled by code.

Always: nobody is told that they are called back unless it is kept; calls for help are never put off; who cannot be asked, because they
forward a call or send it on, or come from a plan, is offered nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from carillon_contracts.config import Trunk, codes_of
from carillon_contracts.feature_codes import Coded
from carillon_routing.domain import codes, limits
from carillon_routing.domain.asks import BusyUsers, CallsOnTrunks, CancelCallBacks, OrderCallBack
from carillon_routing.domain.cursor import CallBackWait
from carillon_routing.domain.dialling import ToEmergency, ToExtension, ToNothing, ToOwnNumber, dialled_by_user
from carillon_routing.domain.facts import Gather, Gathered
from carillon_routing.domain.feature_phrases import phrase
from carillon_routing.domain.feature_settings import language_of, say
from carillon_routing.domain.walk import NO_TRUNK, Stop, ToOutside, Walk

KEY = "5"
FIRST_DIGIT_MS = 8_000
#: Q.850 causes by which a carrier says that it can take no call now: no circuit, temporary failure, congestion.
BUSY_CAUSES = frozenset({34, 41, 42})


def offer(walk: Walk, move: ToOutside, trunks: Sequence[Trunk]) -> Stop | None:
    """Ask whether the caller wants to be called back; None: the lines are not busy, or nobody can be."""
    user = walk.config.users.get(move.for_user_id)
    if user is None or not codes.can_be_asked(walk, user) or "call_back" not in codes_of(walk.config.tenant.feature_codes):
        return None
    limited = [trunk for trunk in trunks if trunk.max_calls]
    if not (move.busy or limited):
        return None
    calls = walk.ask(CallsOnTrunks(tuple(trunk.id for trunk in trunks), walk.hops))
    if not isinstance(calls, dict):
        walk.note(f"number {move.number}", False, "nobody can be called back now")
        return None
    full = [trunk.id for trunk in limited if int(str(calls.get(trunk.id, 0))) >= trunk.max_calls]
    full += [trunk.id for trunk in trunks if trunk.id not in full and limits.full(walk, trunk)]
    for trunk_id in full:
        walk.note(f"trunk/{trunk_id}", False, "has as many calls as it may")
    if not (move.busy or full):
        return None
    language = language_of(walk)
    walk.note(f"number {move.number}", True, f"every trunk is busy; a call-back is offered by key {KEY}")
    step = Gather((phrase("lines_busy", language),), 1, FIRST_DIGIT_MS, FIRST_DIGIT_MS)
    return Stop(step, CallBackWait(move.number, "limit" if full else "carrier"))


def chosen(walk: Walk, wait: CallBackWait, gathered: Gathered) -> Stop:
    """The caller wants it, or goes."""
    if gathered.digits != KEY:
        walk.note(f"number {wait.number}", False, "no call-back is wanted", "hang_up")
        return Stop(NO_TRUNK)
    return _ordered(walk, OrderCallBack(walk.call.caller_user_id, wait.number, "", wait.blocked))


def by_code(walk: Walk, coded: Coded) -> Stop | None:
    """A colleague who talks is waited for; None: the call goes on as if the number had been dialled, which `walk.call` then says."""
    subject, caller = f"feature call_back {coded.code}", walk.call.caller_user_id
    dialled = dialled_by_user(walk.config, coded.argument, caller)
    if isinstance(dialled, ToEmergency | ToNothing):
        reason = dialled.reason if isinstance(dialled, ToNothing) else "nobody waits for help"
        walk.note(subject, False, reason)
        return say(walk, "no_such_extension" if isinstance(dialled, ToNothing) else "not_allowed")
    number, colleague = coded.argument, ""
    if isinstance(dialled, ToExtension):
        number, colleague = dialled.extension.id, dialled.extension.destination.user_id or ""
    elif isinstance(dialled, ToOwnNumber) and dialled.number.destination is not None:
        number, colleague = dialled.number.id, dialled.number.destination.user_id or ""
    busy = walk.ask(BusyUsers((colleague,), walk.hops)) if colleague and colleague != caller and not walk.sent else None
    if isinstance(busy, list) and colleague in busy:
        walk.note(subject, True, "talks or is being rung", f"user/{colleague}")
        return _ordered(walk, OrderCallBack(caller, number, colleague, "colleague"))
    walk.note(subject, True, "nobody there is known to talk: the number is called", coded.argument)
    walk.call = replace(walk.call, dialled=coded.argument)
    return None


def cancel(walk: Walk, coded: Coded) -> Stop:
    """None of the user's call-backs is made any more."""
    count = walk.ask(CancelCallBacks(walk.call.caller_user_id))
    if not isinstance(count, int) or isinstance(count, bool):
        walk.note(f"feature call_back_off {coded.code}", False, "it could not be kept in time")
        return say(walk, "not_now")
    walk.note(f"feature call_back_off {coded.code}", True, f"{count} call-backs are cancelled")
    return say(walk, "call_back_off")


def _ordered(walk: Walk, order: OrderCallBack) -> Stop:
    kept = walk.ask(order)
    if kept is not True:
        reason = "it could not be kept in time" if kept is None else "there are too many call-backs already"
        walk.note(f"number {order.number}", False, reason)
        return say(walk, "not_now")
    walk.note(f"number {order.number}", True, f"user/{order.user_id} is called back")
    return say(walk, "call_back")
