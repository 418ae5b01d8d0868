"""Outside numbers: who may call them, and by which trunk."""

from carillon_routing.domain import trunks
from carillon_routing.domain.cursor import ExternalWait
from carillon_routing.domain.facts import RingResult, TrunkTarget
from carillon_routing.domain.identity import shown_outside
from carillon_routing.domain.walk import ENDS, LIKE, NO_TRUNK, Move, Stop, ToOutside, ToSender, Walk

#: Trunks that are tried for one number.
MAX_TRUNKS = 10


def call(walk: Walk, move: ToOutside) -> Move:
    """Ring by the best trunk that was not tried yet."""
    found = trunks.for_emergency(walk.config) if move.emergency else trunks.candidates(walk.config, move.number)
    able = {trunk.id for trunk, _ in found}
    for trunk in walk.config.trunks.values():
        if trunk.id not in able:
            walk.note(f"trunk/{trunk.id}", False, f"{move.number} begins with none of {', '.join(trunk.prefixes)}")
    if len(move.tried) >= MAX_TRUNKS:
        walk.note(f"number {move.number}", False, f"{MAX_TRUNKS} trunks were tried, which is enough", "hang_up")
        return ToSender("congested", NO_TRUNK)
    chosen = None
    for trunk, prefix in found:
        if trunk.id in move.tried:
            walk.note(f"trunk/{trunk.id}", False, "was tried already")
        elif chosen is not None:
            walk.note(f"trunk/{trunk.id}", False, f"comes after trunk/{chosen.id} (prefix {prefix or 'any'}, priority {trunk.priority})")
        else:
            chosen = trunk
            reason = f"takes {move.number}: prefix {prefix or 'any'}, priority {trunk.priority}"
            walk.note(f"trunk/{trunk.id}", True, reason, f"{move.number} by trunk/{trunk.id}")
    if chosen is None:
        walk.note(f"number {move.number}", False, "no trunk is left" if move.tried else "no trunk takes it")
        return ToSender("congested" if move.tried else "unreachable", NO_TRUNK)
    number, name = shown_outside(walk.config, walk.call)
    walk.note("caller shown", True, f"{number or 'withheld'} (direction {walk.call.direction})")
    target = TrunkTarget(f"trunk:{chosen.id}", chosen.id, move.number, 0, move.ring_ms)
    wait = ExternalWait(move.number, (*move.tried, chosen.id), move.ring_ms, move.emergency, move.for_user_id)
    return Stop(walk.ring((target,), number, name), wait)


def rang(walk: Walk, wait: ExternalWait, result: RingResult, cause: int) -> Move:
    """The next trunk when this one could not; otherwise back to who sent the call."""
    trunk = wait.tried[-1] if wait.tried else "?"
    if LIKE.get(result, result) == "unreachable":
        walk.note(f"trunk/{trunk}", False, f"{wait.number} was {result} by it; the next one is tried")
        return ToOutside(wait.number, wait.ring_ms, wait.tried, wait.emergency, wait.for_user_id, permitted=True)
    walk.note(f"number {wait.number}", result == "answered", f"the outcome was {result} by trunk/{trunk}")
    return ToSender(result, ENDS[result], cause)
