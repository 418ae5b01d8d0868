"""Nodes that choose a way without a sound: each condition tried leaves a line, also those that come after the one that holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from carillon_contracts.config import (
    CalendarNode,
    LanguageNode,
    LimitNode,
    LookUpNode,
    LookUpTable,
    OriginNode,
    PlanNode,
    SetVariableNode,
    SplitNode,
    SwitchNode,
)
from carillon_routing.domain import callers
from carillon_routing.domain.asks import Draw, TakePlace
from carillon_routing.domain.schedules import is_open
from carillon_routing.domain.walk import MAX_VARIABLES, Walk

#: Subject, whether it holds (worked out only if nothing before did), why, and the node it leads to.
Condition = tuple[str, Callable[[], tuple[bool, str]], str]


def choose(walk: Walk, subject: str, node: PlanNode) -> str | None:
    """The node where the call goes on; None: the node is of another kind."""
    if node.calendar is not None:
        return _calendar(walk, subject, node.calendar)
    if node.origin is not None:
        return _origin(walk, subject, node.origin)
    if node.caller_list is not None:
        listed, reason = callers.on_list(walk.config, walk.call, node.caller_list.caller_list_id)
        following = node.caller_list.listed if listed else node.caller_list.otherwise
        walk.note(f"{subject} caller_list/{node.caller_list.caller_list_id}", listed, reason, f"node {following}")
        return following
    if node.mode is not None:
        return _mode(walk, subject, node)
    if node.limit is not None:
        return _limit(walk, subject, node.limit)
    if node.split is not None:
        return _split(walk, subject, node.split)
    if node.language is not None:
        return _language(walk, subject, node.language)
    if node.set_variable is not None:
        return _set_variable(walk, subject, node.set_variable)
    if node.look_up is not None:
        return _look_up(walk, subject, node.look_up)
    return _switch(walk, subject, node.switch) if node.switch is not None else None


def _first(walk: Walk, subject: str, conditions: Iterator[Condition], otherwise: str, none: str) -> str:
    chosen = ""
    for name, holds, following in conditions:
        if chosen:
            walk.note(name, False, "not looked at: an entry before it holds", f"node {following}")
            continue
        matched, reason = holds()
        walk.note(name, matched, reason, f"node {following}")
        if matched:
            chosen = following
    if chosen:
        return chosen
    walk.note(f"{subject} otherwise", True, none, f"node {otherwise}")
    return otherwise


def _calendar(walk: Walk, subject: str, node: CalendarNode) -> str:
    def holds(schedule_id: str) -> tuple[bool, str]:
        schedule = walk.config.schedules.get(schedule_id)
        return (False, "there is no such schedule") if schedule is None else is_open(schedule, walk.config.tenant.time_zone, walk.now)

    conditions = ((f"schedule/{each.schedule_id}", _later(holds, each.schedule_id), each.next) for each in node.entries)
    return _first(walk, subject, conditions, node.otherwise, "none of its schedules is open")


def _origin(walk: Walk, subject: str, node: OriginNode) -> str:
    conditions = (
        (f"{subject} origin {position}", lambda entry=entry: callers.comes_from(walk.config, walk.call, entry), entry.next)
        for position, entry in enumerate(node.entries, 1)
    )
    return _first(walk, subject, conditions, node.otherwise, "the caller comes from none of these")


def _mode(walk: Walk, subject: str, node: PlanNode) -> str:
    assert node.mode is not None
    schedule = walk.config.schedules.get(node.mode.schedule_id)
    mode = str(getattr(schedule, "mode", "") or "automatic")

    def holds(wanted: str) -> tuple[bool, str]:
        return mode == wanted, f"the mode of schedule/{node.mode.schedule_id if node.mode else ''} is {mode}"

    conditions = ((f"{subject} mode {each.mode}", _later(holds, each.mode), each.next) for each in node.mode.entries)
    return _first(walk, subject, conditions, node.mode.otherwise, f"the mode is {mode}")


def counter_of(subject: str, node: LimitNode) -> str:
    """Where a limit node counts: at a counter that several may share, or at its own, `plan/node`."""
    return node.counter or subject.replace("plan/", "").replace(" node ", "/")


def _limit(walk: Walk, subject: str, node: LimitNode) -> str:
    counter = counter_of(subject, node)
    walk.visits += 1
    answer = walk.ask(TakePlace(counter, node.max_calls, node.max_starts, node.per_seconds, walk.visits))
    if not isinstance(answer, dict):
        walk.hold(counter)
        walk.note(subject, True, f"the counter {counter} could not be read in time; the call is let through", f"node {node.within}")
        return node.within
    limits = [f"{answer.get('calls')} calls of at most {node.max_calls}"] if node.max_calls else []
    if node.max_starts:
        limits.append(f"{answer.get('starts')} in the last {timedelta(seconds=node.per_seconds)} of at most {node.max_starts}")
    taken = answer.get("taken") is True
    if taken:
        walk.hold(counter)
    following = node.within if taken else node.over
    walk.note(subject, taken, f"counter {counter}: {' and '.join(limits)} without this one", f"node {following}")
    return following


def _split(walk: Walk, subject: str, node: SplitNode) -> str:
    counter = f"split {subject}"
    number = walk.ask(Draw(counter, walk.hops))
    if not isinstance(number, int) or isinstance(number, bool):
        number = walk.rank(counter)
        walk.note(counter, False, "the counter could not be read in time; the call's own number decides")
    chosen = share_of([share.percent for share in node.shares], number)
    for index, share in enumerate(node.shares):
        taken, quota = index == chosen, f"{share.percent} % of the calls, of which this is number {number + 1}"
        walk.note(f"{subject} share {index + 1}", taken, quota, f"node {share.next}")
    return node.shares[chosen].next


def share_of(percents: Sequence[int], number: int) -> int:
    """Which share call `number` (from 0) belongs to, so that after any n calls each way had its quota to less than one call.

    The quota method of apportionment (Balinski and Young 1975): among those whose quota of n + 1 calls is not yet filled beyond its upper
    bound, the one furthest behind by percent / (calls + 1). The pattern repeats after 100 calls, so the position alone tells.
    """
    given = [0] * len(percents)
    chosen = 0
    for n in range(number % 100 + 1):
        open_ways = [i for i, percent in enumerate(percents) if given[i] * 100 < percent * (n + 1)]
        chosen = max(open_ways, key=lambda i: (percents[i] / (given[i] + 1), -i))
        given[chosen] += 1
    return chosen


def _language(walk: Walk, subject: str, node: LanguageNode) -> str:
    walk.speak_in(node.languages)
    how = (
        f"the call's language is {walk.language} from here on"
        if len(node.languages) == 1
        else f"in the order of this call: {walk.language}"
    )
    walk.note(subject, True, how, f"node {node.next}")
    return node.next


def _set_variable(walk: Walk, subject: str, node: SetVariableNode) -> str:
    value = walk.variable(node.source) if node.source else node.value
    done = walk.assign(node.name, value)
    reason = f"{node.name} is {value!r}" if done else f"{node.name} is not set: the call has {MAX_VARIABLES} variables already"
    walk.note(subject, done, reason, f"node {node.next}")
    return node.next


def _look_up(walk: Walk, subject: str, node: LookUpNode) -> str:
    rows = walk.config.derived("routing tables", LookUpTable, _rows).get(node.look_up_table_id, {})
    wanted = walk.variable(node.source)
    keys = [wanted[:length] for length in range(len(wanted), 0, -1)] if node.longest_prefix else [wanted]
    key = next((key for key in keys if key in rows), None)
    name = f"{subject} look_up_table/{node.look_up_table_id}"
    if key is None or not walk.assign(node.variable, rows[key]):
        walk.note(name, False, f"{node.source} {wanted!r} is not there", f"node {node.otherwise}")
        return node.otherwise
    walk.note(name, True, f"{node.source} {wanted!r} is there as {key!r}: {node.variable} is {rows[key]!r}", f"node {node.found}")
    return node.found


def _rows(tables: Mapping[str, LookUpTable]) -> dict[str, dict[str, str]]:
    return {table.id: {row.key: row.value for row in table.rows} for table in tables.values()}


def _switch(walk: Walk, subject: str, node: SwitchNode) -> str:
    held = walk.variable(node.variable)

    def holds(value: str) -> tuple[bool, str]:
        return held == value, f"{node.variable} is {held!r}" + ("" if held == value else f", not {value!r}")

    conditions = ((f"{subject} {node.variable}", _later(holds, each.value), each.next) for each in node.entries)
    return _first(walk, subject, conditions, node.otherwise, f"{node.variable} is {held!r}")


def _later(holds: Callable[[str], tuple[bool, str]], value: str) -> Callable[[], tuple[bool, str]]:
    return lambda: holds(value)
