"""Outside numbers: who may call them, and by which trunk."""

from collections.abc import Container

from carillon_routing.domain import call_back, codes
from carillon_routing.domain.authorise import Allowed, NeedsCode, Refused, authorise, restricts
from carillon_routing.domain.cursor import CodeWait, ExternalWait
from carillon_routing.domain.facts import RingResult, TrunkTarget
from carillon_routing.domain.reach import MAX_TRUNKS
from carillon_routing.domain.trunks import after, taken
from carillon_routing.domain.walk import BARRED, ENDS, LIKE, LOOP, NO_TRUNK, Move, Stop, ToOutside, ToSender, Walk


def call(walk: Walk, move: ToOutside) -> Move:
    """Ring by the best trunk that was not tried yet, if the user whose rights count may."""
    walk.arrive()
    user = walk.config.users.get(move.for_user_id)
    if user is None and move.for_user_id:
        return refused(walk, move.for_user_id, move.number, Refused("there is no such user"))
    decision, trace = authorise(walk.config, user, move.number, walk.call, _given(walk, move.for_user_id))
    walk.noted(trace)
    if isinstance(decision, NeedsCode) and user is not None and codes.can_be_asked(walk, user):
        return codes.ask(walk, user, CodeWait(decision.kind, move.number, move.ring_ms))
    if not isinstance(decision, Allowed):
        return refused(walk, move.for_user_id, move.number, decision)
    if len(move.tried) >= MAX_TRUNKS:
        walk.note(f"number {move.number}", False, f"{MAX_TRUNKS} trunks were tried, which is enough", "hang_up")
        return call_back.offer(walk, move, [trunk for trunk, _ in decision.trunks]) or ToSender("congested", NO_TRUNK)
    chosen = None
    for trunk, prefix in decision.trunks:
        if trunk.id in move.tried:
            walk.note(f"trunk/{trunk.id}", False, "was tried already")
        elif chosen is not None:
            walk.noted((after(walk.config, chosen, trunk, prefix, move.number),))
        else:
            chosen = trunk
            walk.noted((taken(walk.config, trunk, prefix, move.number),))
    if chosen is None:
        walk.note(f"number {move.number}", False, "no trunk is left" if move.tried else "no trunk takes it")
        if move.tried and (offered := call_back.offer(walk, move, [trunk for trunk, _ in decision.trunks])) is not None:
            return offered
        return ToSender("congested" if move.tried else "unreachable", NO_TRUNK)
    walk.note("caller shown", True, f"{decision.caller_number or 'withheld'} (direction {walk.call.direction})")
    target = TrunkTarget(f"trunk:{chosen.id}", chosen.id, move.number, 0, move.ring_ms)
    wait = ExternalWait(move.number, (*move.tried, chosen.id), move.ring_ms, move.for_user_id, move.busy)
    return Stop(walk.ring((target,), decision.caller_number, decision.caller_name), wait)


def refused(walk: Walk, user_id: str, number: str, decision: Refused | NeedsCode) -> Move:
    """Back to the node that sent the call, as rejected; without one the caller is told, and the call ends."""
    if isinstance(decision, Refused) and decision.loop:
        return ToSender("rejected", LOOP, LOOP.cause)
    walk.note(f"number {number}", False, f"user/{user_id} may not call it: {decision.reason}")
    if walk.sender is not None:
        return ToSender("rejected", BARRED)
    return codes.refused(walk, "barred")


def inside_barred(walk: Walk, user_id: str, number: str) -> Move | None:
    """The end of a call to an extension or a number of the tenant's that the user may not call; None: it may go on."""
    user = walk.config.users.get(user_id)
    if user is None or not restricts(walk.config, user):
        return None
    decision, trace = authorise(walk.config, user, number, walk.call, walk.codes)
    walk.noted(line for line in trace if not line.subject.startswith("trunk/"))
    if isinstance(decision, NeedsCode) and codes.can_be_asked(walk, user):
        return codes.ask(walk, user, CodeWait(decision.kind, number))
    return None if isinstance(decision, Allowed) else refused(walk, user_id, number, decision)


def _given(walk: Walk, user_id: str) -> Container[str]:
    """What the caller gave counts for the caller alone, and not for who forwards the call."""
    return walk.codes if user_id == walk.call.caller_user_id else ()


def rang(walk: Walk, wait: ExternalWait, result: RingResult, cause: int) -> Move:
    """The next trunk when this one could not; otherwise back to who sent the call."""
    trunk = wait.tried[-1] if wait.tried else "?"
    if LIKE.get(result, result) == "unreachable":
        walk.note(f"trunk/{trunk}", False, f"{wait.number} was {result} by it; the next one is tried")
        busy = wait.busy or cause in call_back.BUSY_CAUSES
        return ToOutside(wait.number, wait.ring_ms, wait.tried, wait.for_user_id, busy)
    walk.note(f"number {wait.number}", result == "answered", f"the outcome was {result} by trunk/{trunk}")
    if cause != LOOP.cause:
        return ToSender(result, ENDS[result], cause)
    walk.note("hop budget", False, f"beyond trunk/{trunk} it goes round in circles")
    return ToSender(result, LOOP, cause)
