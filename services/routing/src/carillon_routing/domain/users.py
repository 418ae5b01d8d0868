"""A user as a destination: forwarding, screening, do not disturb, the secretary, and every phone that rings for them."""

from dataclasses import replace

from carillon_contracts.config import Destination, SimultaneousTarget, StickyAgentNode, User
from carillon_routing.domain import callers, limits
from carillon_routing.domain.cursor import StickyWait, UserWait
from carillon_routing.domain.disturbing import in_hours, left_alone, screened, undisturbed
from carillon_routing.domain.facts import HangUp, HoldReminder, Ring, RingResult, RingTarget, UserTarget
from carillon_routing.domain.feature_phrases import phrase
from carillon_routing.domain.reach import Reach, reach_number, ring_all, target_of
from carillon_routing.domain.walk import ENDS, LIKE, MAX_FORWARDS, Move, Stop, ToDestination, ToNode, ToSender, Walk, lacks, name_of


def enter(walk: Walk, user_id: str, ring_seconds: int) -> Move:
    """Ring the user, or what stands in the way of it."""
    user = walk.config.users.get(user_id)
    if user is None:
        walk.note(f"user/{user_id}", False, "there is no such user")
        return ToSender("unreachable", ENDS["unreachable"])
    walk.arrive()
    verdict = _screened(walk, user)
    if verdict is False:
        return _not_rung(walk, user)
    forward = unconditional(walk, user) if verdict is None else None
    if forward is not None:
        return _forwarded(walk, user, forward, "busy")
    secretary = _secretary(walk, user)
    if secretary is not None:
        assert user.secretary is not None
        seconds = user.secretary.ring_seconds or secretary.ring_seconds
        walk.note(f"user/{user_id} secretary", True, f"user/{secretary.id} is rung first, for {seconds} s", f"user/{secretary.id}")
        step = _ring(walk, secretary, seconds, UserWait(user_id, secretary.id, ring_seconds), own_phone_only=True)
        return _reminding(step, user, secretary, user.secretary.reminder_seconds, walk.config.tenant.language)
    return _ring_own(walk, user, ring_seconds, verdict)


def rang(walk: Walk, wait: UserWait, result: RingResult, cause: int) -> Move:
    """After the secretary the user; then the user's forwarding by outcome; without one, back to who sent the call."""
    user = walk.config.users.get(wait.user_id)
    if user is None:
        return ToSender(result, ENDS[result], cause)
    if wait.secretary and result != "answered":
        walk.note(f"user/{wait.secretary}", False, f"the outcome was {result}; user/{user.id} is rung now", f"user/{user.id}")
        return _ring_own(walk, user, wait.ring_seconds, _screened(walk, user))
    forward = _by_outcome(walk, user, result)
    return ToSender(result, _end(walk, user, result), cause) if forward is None else _forwarded(walk, user, forward, result)


def ring_agent(walk: Walk, user_id: str, node: StickyAgentNode) -> Move:
    """The agent's phones alone; no forwarding counts, but the agent's screening lists do."""
    user = walk.config.users[user_id]
    targets: list[RingTarget] = []
    verdict = _screened(walk, user)
    if verdict is False:
        return _not_by_agent(walk, user, node)
    if node.reach != "mobile" and (verdict or not _undisturbed(walk, user)):
        targets.append(UserTarget(f"user:{user_id}", user_id, 0, node.ring_seconds * 1000))
    if node.reach != "extension" and user.mobile and not user.services.mobile:
        walk.note(f"user/{user_id} mobile", False, lacks(user_id, "mobile"))
    elif node.reach != "extension" and user.mobile:
        reach, reason = reach_number(walk, user, user.mobile)
        if reach is None:
            walk.note(f"user/{user_id} mobile", False, reason)
        else:
            targets.append(target_of("mobile", reach, 0, node.ring_seconds * 1000))
    if not targets:
        return _not_by_agent(walk, user, node)
    walk.note(f"user/{user_id}", True, f"rings for {node.ring_seconds} s ({node.reach})")
    return ring_all(walk, targets, StickyWait(user_id))


def _not_by_agent(walk: Walk, user: User, node: StickyAgentNode) -> Move:
    walk.note(f"user/{user.id}", False, "has no phone that may ring; the plan goes on", f"node {node.next}")
    assert walk.sender is not None
    return ToNode(walk.sender[0], node.next)


# -- what rings -------------------------------------------------------------------------------------------------------


def _ring_own(walk: Walk, user: User, ring_seconds: int, verdict: bool | None) -> Move:
    """`verdict` of the user's screening lists."""
    if (verdict is not True and _undisturbed(walk, user)) or not limits.arriving(walk, user):
        return _not_rung(walk, user)
    seconds = ring_seconds or user.ring_seconds
    said = "as the node says" if ring_seconds else "as the user wants"
    return _ring(walk, user, seconds, UserWait(user.id), said=said)


def _ring(walk: Walk, user: User, seconds: int, wait: UserWait, *, said: str = "", own_phone_only: bool = False) -> Move:
    reached: list[tuple[str, Reach]] = []
    for position, also in enumerate(() if own_phone_only else user.simultaneous, 1):
        found, reason = _reach(walk, user, also)
        subject = f"user/{user.id} simultaneous {position}"
        if found is None or found.user_id == user.id or found in (reach for _, reach in reached):
            walk.note(subject, False, reason or "rings already")
            continue
        seconds = min(seconds, also.ring_seconds or user.ring_seconds)
        walk.note(subject, True, f"{found} rings too", str(found))
        reached.append((f"also {position}", found))
    how = f", {said}" if said and not reached else ", the shortest of all" if reached else ""
    targets: list[RingTarget] = []
    if user.services.fixed_line:
        walk.note(f"user/{user.id}", True, f"rings on all devices for {seconds} s{how}")
        targets.append(UserTarget(f"user:{user.id}", user.id, 0, seconds * 1000))
    else:
        walk.note(f"user/{user.id}", False, lacks(user.id, "fixed_line"))
        if not reached:
            return _went_nowhere(walk, wait)
    targets += [target_of(name, reach, 0, seconds * 1000) for name, reach in reached]
    return ring_all(walk, targets, wait)


def _went_nowhere(walk: Walk, wait: UserWait) -> Move:
    """Nothing of the user's can ring: as if nobody were registered."""
    if wait.secretary:
        user = walk.config.users[wait.user_id]
        return _ring_own(walk, user, wait.ring_seconds, _screened(walk, user))
    return rang(walk, wait, "unreachable", 0)


def _reach(walk: Walk, user: User, also: SimultaneousTarget) -> tuple[Reach | None, str]:
    if also.external_number is not None and also.external_number == user.mobile and not user.services.mobile:
        return None, lacks(user.id, "mobile")
    if also.external_number is not None:
        return reach_number(walk, user, also.external_number)
    other = walk.config.users.get(also.user_id or "")
    if other is None:
        return None, f"user/{also.user_id} does not exist"
    reason, trace = left_alone(walk.config, walk.call, walk.now, other, through=False)
    walk.noted(trace)
    return (None, f"user/{other.id} {reason}") if reason else (Reach(user_id=other.id), "")


def _secretary(walk: Walk, user: User) -> User | None:
    """Who is rung first."""
    if user.secretary is None:
        return None
    subject, rule = f"user/{user.id} secretary", user.secretary
    secretary = walk.config.users.get(rule.user_id)
    if secretary is None or secretary.id == user.id:
        walk.note(subject, False, f"user/{rule.user_id} does not exist")
        return None
    if walk.call.caller_user_id == secretary.id:
        walk.note(subject, False, "the secretary calls, and is put through")
        return None
    if rule.except_caller_list_id:
        listed, reason = callers.on_list(walk.config, walk.call, rule.except_caller_list_id)
        walk.note(f"{subject} exception caller_list/{rule.except_caller_list_id}", listed, reason)
        if listed:
            return None
    if rule.except_hours:
        inside, reason = in_hours(walk.config, walk.now, rule.except_hours)
        walk.note(f"{subject} exception hours", inside, reason)
        if inside:
            return None
    if _undisturbed(walk, secretary):
        walk.note(subject, False, f"user/{secretary.id} is not to be disturbed")
        return None
    return secretary


def _reminding(move: Move, user: User, secretary: User, seconds: int, tenant_language: str) -> Move:
    """With a reminder of who waits for the user while the secretary holds."""
    if not seconds or not isinstance(move, Stop) or not isinstance(move.step, Ring):
        return move
    said = phrase("caller_waits", secretary.language or tenant_language)
    reminder = HoldReminder(seconds * 1000, (replace(said, text=said.text.replace("{name}", user.full_name)),))
    return Stop(replace(move.step, reminder=reminder), move.wait)


# -- what stands in the way -------------------------------------------------------------------------------------------


def _screened(walk: Walk, user: User) -> bool | None:
    verdict, trace = screened(walk.config, walk.call, walk.now, user)
    walk.noted(trace)
    return verdict


def _undisturbed(walk: Walk, user: User) -> bool:
    alone, trace = undisturbed(walk.config, walk.now, user)
    walk.noted(trace)
    return alone


def _not_rung(walk: Walk, user: User) -> Move:
    forward = _by_outcome(walk, user, "busy")
    return ToSender("busy", _end(walk, user, "busy")) if forward is None else _forwarded(walk, user, forward, "busy")


def _end(walk: Walk, user: User, result: RingResult) -> HangUp:
    """How the call ends if nobody knows another way: with music where the line is busy and there is some."""
    return replace(ENDS[result], music_id=user.busy_music_id or walk.config.tenant.busy_music_id) if result == "busy" else ENDS[result]


# -- forwarding -------------------------------------------------------------------------------------------------------


def unconditional(walk: Walk, user: User) -> Destination | None:
    """Where the user's calls go without ringing, now."""
    forward, hours = user.forwarding.unconditional, user.forwarding.unconditional_hours
    if forward is None:
        return None
    subject = f"user/{user.id} forwarding unconditional"
    if "unconditional" in user.forwarding.suspended:
        walk.note(subject, False, "is suspended", name_of(forward))
        return None
    inside, reason = in_hours(walk.config, walk.now, (hours,)) if hours is not None else (True, "always")
    walk.note(subject, inside, reason, name_of(forward))
    return forward if inside else None


def _by_outcome(walk: Walk, user: User, result: RingResult) -> Destination | None:
    chosen = None
    for name in ("busy", "no_answer", "unreachable"):
        destination: Destination | None = getattr(user.forwarding, name)
        if destination is None:
            continue
        matched = name == LIKE.get(result, result)
        reason = f"the outcome was {result}" if matched else f"the outcome was {result}, not {name}"
        if matched and name in user.forwarding.suspended:
            matched, reason = False, "is suspended"
        walk.note(f"user/{user.id} forwarding {name}", matched, reason, name_of(destination))
        if matched:
            chosen = destination
    if chosen is None:
        walk.note(f"user/{user.id} forwarding", False, f"nothing is set for {result}; back to who sent the call")
    return chosen


def _forwarded(walk: Walk, user: User, forward: Destination, result: RingResult) -> Move:
    if walk.forwards >= MAX_FORWARDS:
        walk.note(f"user/{user.id} forwarding", False, f"the call was forwarded {MAX_FORWARDS} times already")
        return ToSender(result, ENDS[result])
    walk.forwards += 1
    return ToDestination(forward, for_user_id=user.id)
