"""What to do with a child process: a table of states, growing delays, and the order of stopping. Pure.

Always: a child that is wanted and dies is started again, the first time at once; a child that is not wanted is never started; the
processes of one stop group are asked to end together, and a later group only when the earlier ones are gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where a child is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    BACKING_OFF = "backing off"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Input(StrEnum):
    """What can befall a child."""

    START = "start"
    EXITED = "exited"
    DELAY_OVER = "delay over"
    STOP = "stop"


class Action(StrEnum):
    """What the shell has to do now."""

    NOTHING = "nothing"
    SPAWN = "spawn"
    ARM_DELAY = "arm delay"
    TERMINATE = "terminate"


#: (state, input) -> (next state, action). What is not here changes nothing.
TRANSITIONS: Mapping[tuple[State, Input], tuple[State, Action]] = {
    (State.WAITING, Input.START): (State.RUNNING, Action.SPAWN),
    (State.WAITING, Input.STOP): (State.STOPPED, Action.NOTHING),
    (State.RUNNING, Input.EXITED): (State.BACKING_OFF, Action.ARM_DELAY),
    (State.RUNNING, Input.STOP): (State.STOPPING, Action.TERMINATE),
    (State.BACKING_OFF, Input.DELAY_OVER): (State.RUNNING, Action.SPAWN),
    (State.BACKING_OFF, Input.STOP): (State.STOPPED, Action.NOTHING),
    (State.STOPPING, Input.EXITED): (State.STOPPED, Action.NOTHING),
}


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delay in seconds before the first, second, ... restart in a row (the last repeats); up for `settled_seconds`: counted anew."""

    delays: tuple[float, ...] = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
    settled_seconds: float = 20.0

    def delay(self, restarts_in_a_row: int) -> float:
        """Seconds before restart number `restarts_in_a_row` (from 0)."""
        return self.delays[min(restarts_in_a_row, len(self.delays) - 1)]


@dataclass(frozen=True, slots=True)
class Child:
    """The life of one process so far; times in monotonic seconds."""

    state: State = State.WAITING
    started_at: float = 0.0
    #: Deaths since it was last up for long.
    deaths_in_a_row: int = 0
    #: When BACKING_OFF: seconds to wait before the next start.
    delay: float = 0.0


def step(child: Child, happened: Input, now: float, policy: RestartPolicy) -> tuple[Child, Action]:
    """The child after the input, and what the shell does now."""
    following = TRANSITIONS.get((child.state, happened))
    if following is None:
        return child, Action.NOTHING
    state, action = following
    child = replace(child, state=state)
    match action:
        case Action.SPAWN:
            child = replace(child, started_at=now)
        case Action.ARM_DELAY:
            before = 0 if now - child.started_at >= policy.settled_seconds else child.deaths_in_a_row
            child = replace(child, deaths_in_a_row=before + 1, delay=policy.delay(before))
        case _:
            pass
    return child, action


def stop_groups(groups: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Names by their stop group, lowest first, names in order within a group."""
    return [tuple(sorted(name for name, group in groups.items() if group == wanted)) for wanted in sorted(set(groups.values()))]


def hopeless(children: Mapping[str, Child], limit: int) -> Sequence[str]:
    """Who died at least `limit` times in a row: while the system starts, a reason to give up."""
    return sorted(name for name, child in children.items() if child.deaths_in_a_row >= limit)
