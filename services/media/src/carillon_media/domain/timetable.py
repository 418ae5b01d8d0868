"""A ring step in progress: which targets ring now, when the next one starts or stops, and what became of each.

Invariant: a target is pending, active or done, in that order, and has a result exactly when it is done. While a target is active,
times are those of the step. When nobody rings and somebody is still to come, the rest of the timetable moves forward, so that the
caller never waits for nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

from carillon_media.domain.causes import RingResult, summary_of
from carillon_media.domain.facts import Contact
from carillon_media.domain.plain import NOT_KEPT
from carillon_media.domain.steps import Ring, RingOutcome, RingTarget, TargetOutcome, TrunkTarget

State = Literal["pending", "active", "done"]
_DEFAULT_RING_MS = 60_000


@dataclass(slots=True)
class Target:
    """One line of the timetable; `start` and `stop` in monotonic seconds."""

    plan: RingTarget
    start: float
    stop: float
    state: State = "pending"
    #: In the order of being rung.
    legs: dict[str, None] = field(default_factory=dict)
    results: set[RingResult] = field(default_factory=set)
    rang: bool = False
    sip_status: int = 0
    #: By leg, where it is tried next when that one was silent or could not.
    spare: dict[str, tuple[Contact, ...]] = field(default_factory=dict, metadata=NOT_KEPT)

    @property
    def result(self) -> RingResult:
        """What became of it, or would if it ended now."""
        if self.results:
            return summary_of(self.results)
        return "no_answer" if self.rang else "unreachable"


@dataclass(slots=True)
class Timetable:
    """The targets of one ring step."""

    targets: list[Target]

    @classmethod
    def of(cls, step: Ring, began: float, max_seconds: float) -> Self:
        """The step's timetable, beginning now."""
        return cls([_line(plan, began, max_seconds) for plan in step.targets])

    def of_leg(self, leg_id: str) -> Target | None:
        """The target that the leg belongs to."""
        return next((target for target in self.targets if leg_id in target.legs), None)

    def take_starting(self, now: float) -> list[Target]:
        """Targets whose time has come; they are active from here on."""
        if not any(target.state == "active" for target in self.targets):
            self._pull_forward(now)
        starting = [target for target in self.targets if target.state == "pending" and target.start <= now]
        for target in starting:
            target.state = "active"
        return starting

    def _pull_forward(self, now: float) -> None:
        pending = [target for target in self.targets if target.state == "pending"]
        early = min((target.start for target in pending), default=now) - now
        if early > 0:
            for target in pending:
                target.start -= early
                target.stop -= early

    def stopping(self, now: float) -> list[Target]:
        """Active targets whose time is over; each leg of theirs is to be ended, then `leg_over` said."""
        return [target for target in self.targets if target.state == "active" and target.stop <= now]

    def next_at(self) -> float | None:
        """When something starts or stops; None: nothing is left."""
        starts = (target.start for target in self.targets if target.state == "pending")
        stops = (target.stop for target in self.targets if target.state == "active")
        return min((*starts, *stops), default=None)

    def leg_offered(self, target: Target, leg_id: str) -> None:
        """A device of the target is being rung."""
        target.legs[leg_id] = None

    def leg_rang(self, leg_id: str, status: int) -> None:
        """180 or 183."""
        target = self.of_leg(leg_id)
        if target is not None:
            target.rang = True
            target.sip_status = status

    def leg_over(self, leg_id: str, result: RingResult, status: int = 0) -> None:
        """The leg is over without or (`answered`) with success; its target is done with its last leg."""
        target = self.of_leg(leg_id)
        if target is None:
            return
        del target.legs[leg_id]
        target.results.add(result)
        if status:
            target.sip_status = status
        if not target.legs:
            target.state = "done"

    def hand_on(self, leg_id: str, other: str) -> None:
        """Something else (a leg, or a question about where it goes) takes the leg's place."""
        target = self.of_leg(leg_id)
        if target is not None:
            del target.legs[leg_id]
            self.leg_offered(target, other)

    def forget(self, leg_id: str) -> None:
        """It led to legs of the same target, which stand for it."""
        target = self.of_leg(leg_id)
        if target is not None:
            del target.legs[leg_id]

    def nobody_there(self, target: Target) -> None:
        """The target has no device that could be rung."""
        target.results.add("unreachable")
        target.state = "done"

    @property
    def over(self) -> bool:
        """Every target is done."""
        return all(target.state == "done" for target in self.targets)

    def active_legs(self) -> Iterable[str]:
        """Legs that are being rung."""
        return tuple(leg_id for target in self.targets for leg_id in target.legs)

    def outcome(self) -> RingOutcome:
        """The step as a whole. A target whose turn never came is not in it."""
        seen = [target for target in self.targets if target.state != "pending"]
        each = tuple(TargetOutcome(target.plan.target_id, target.result, target.sip_status) for target in seen)
        return RingOutcome(summary_of({outcome.result for outcome in each}), each)


def given_up(target: Target) -> RingResult:
    """Result of a leg that is stopped by the timetable: a carrier may be silent for seconds before it rings, a phone is not."""
    return "no_answer" if target.rang or isinstance(target.plan.whom, TrunkTarget) else "unreachable"


def _line(plan: RingTarget, began: float, max_seconds: float) -> Target:
    start = max(0, plan.start_after_ms)
    stop = plan.stop_after_ms if plan.stop_after_ms > start else start + _DEFAULT_RING_MS
    return Target(plan, began + start / 1000, began + min(stop, start + max_seconds * 1000) / 1000)
