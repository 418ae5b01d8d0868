"""In which order the members of a ring group come, where one comes after another."""

from zoneinfo import ZoneInfo

from carillon_contracts.config import RingGroup
from carillon_routing.domain.asks import AnsweredToday, Draw
from carillon_routing.domain.walk import Walk


def ordered(walk: Walk, group: RingGroup) -> tuple[int, ...]:
    """Indexes of the members as they come."""
    listed = tuple(range(len(group.members)))
    subject = f"ring_group/{group.id} order"
    match group.order:
        case "priority":
            return listed
        case "random":
            order = tuple(sorted(listed, key=lambda index: walk.rank(f"{group.id} {index} {walk.hops}")))
            walk.note(subject, True, f"random, by the call: members {_positions(order)}")
            return order
        case "round_robin":
            number = walk.ask(Draw(f"ring_group/{group.id}", walk.hops))
            turn = number if isinstance(number, int) and not isinstance(number, bool) else walk.rank(group.id)
            order = tuple((turn + index) % len(listed) for index in listed)
            walk.note(subject, number is not None, f"round robin, turn {turn + 1}: members {_positions(order)}")
            return order
        case "least_called":
            day = f"{walk.now.astimezone(ZoneInfo(walk.config.tenant.time_zone)):%Y-%m-%d}"
            users = tuple(sorted({member.user_id for member in group.members if member.user_id}))
            answer = walk.ask(AnsweredToday(users, day))
            answered = answer if isinstance(answer, dict) else {}
            counts = [_count(answered.get(member.user_id or "")) for member in group.members]
            order = tuple(sorted(listed, key=lambda index: (counts[index], index)))
            said = ", ".join(f"{index + 1} with {counts[index]}" for index in order)
            walk.note(subject, answer is not None, f"fewest calls on {day} first: members {said}")
            return order


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _positions(order: tuple[int, ...]) -> str:
    return ", ".join(str(index + 1) for index in order)
