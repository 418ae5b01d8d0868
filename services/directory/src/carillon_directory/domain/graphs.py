"""A plan is a graph: its nodes exist, can be reached, and no call runs in a circle without a wait.

A wait is whatever takes the caller's or a callee's part: ringing, a menu, a mailbox. Calendars, announcements, sub-plans and
the tenant's own numbers pass a call on by themselves, so a circle of these alone would never end.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from carillon_contracts.config import Destination, Number, Plan, PlanNode, Resource
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.outcomes import Violation

_WAYS = ("answered", "no_answer", "busy", "unreachable", "otherwise")
#: Destinations that can come back with an outcome.
_RUNG = ("user_id", "external_number")


@dataclass(frozen=True, slots=True)
class Vertex:
    """A place a call can be: a plan's node, or (without node) a number of the tenant."""

    resource_id: str
    node: str = ""

    def __str__(self) -> str:
        return f"{self.resource_id}/{self.node}" if self.node else self.resource_id


def targets(node: PlanNode) -> Iterator[tuple[str, str]]:
    """(path in the node, node id) of every way on that is given."""
    if node.calendar is not None:
        for index, entry in enumerate(node.calendar.entries):
            yield f"calendar.entries[{index}].next", entry.next
        yield "calendar.otherwise", node.calendar.otherwise
        return
    for name, value in (("destination", node.destination), ("ring_group", node.ring_group)):
        for way in _WAYS:
            if value is not None and getattr(value.ways, way):
                yield f"{name}.ways.{way}", getattr(value.ways, way)
    if node.menu is not None and node.menu.no_choice:
        yield "menu.no_choice", node.menu.no_choice
    if node.announcement is not None and node.announcement.next:
        yield "announcement.next", node.announcement.next


def plan_violations(plan: Plan) -> list[Violation]:
    """Unknown nodes, nodes that cannot be reached, and settings that would never count."""
    nodes = {node.id: node for node in plan.nodes}
    found = [] if plan.entry in nodes else [Violation("entry", f"the plan has no node {plan.entry!r}")]
    reached = _reached(plan.entry, nodes)
    for index, node in enumerate(plan.nodes):
        found += [
            Violation(f"nodes[{index}].{path}", f"the plan has no node {target!r}") for path, target in targets(node) if target not in nodes
        ]
        if plan.entry in nodes and node.id not in reached:
            found.append(Violation(f"nodes[{index}]", f"node {node.id!r} cannot be reached from the entry {plan.entry!r}"))
        found += [Violation(f"nodes[{index}].{path}", reason) for path, reason in _never_counts(node)]
    return found


def _reached(entry: str, nodes: dict[str, PlanNode]) -> set[str]:
    reached: set[str] = set()
    ahead = [entry]
    while ahead:
        here = ahead.pop()
        if here in nodes and here not in reached:
            reached.add(here)
            ahead += [target for _, target in targets(nodes[here])]
    return reached


def _never_counts(node: PlanNode) -> Iterator[tuple[str, str]]:
    value = node.destination
    if value is None or value.destination.kind in _RUNG:
        return
    if value.ring_seconds:
        yield "destination.ring_seconds", "counts only for a user or an external number"
    for way in _WAYS:
        if getattr(value.ways, way):
            yield f"destination.ways.{way}", "counts only for a user or an external number; give a ring group or a menu its own node"


def loop_violation(config: TenantConfig, resource: Resource) -> Violation | None:
    """A circle without a wait that runs through the resource (a plan or a number of `config`), or None."""
    if isinstance(resource, Plan):
        places = {Vertex(resource.id, node.id): f"nodes[{index}]" for index, node in enumerate(resource.nodes)}
    elif isinstance(resource, Number):
        places = {Vertex(resource.id): "destination"}
    else:
        return None
    for circle in _circles(config, tuple(places)):
        field = next((places[vertex] for vertex in circle if vertex in places), None)
        if field is not None:
            return Violation(field, f"loop without a wait: {' -> '.join(map(str, circle))}")
    return None


def _circles(config: TenantConfig, starts: tuple[Vertex, ...]) -> Iterator[list[Vertex]]:
    """Circles met by a depth-first walk from the starts, each from a vertex back to itself; linear in nodes and ways."""
    onward = _Onward(config)
    done: set[Vertex] = set()
    for start in starts:
        if start in done:
            continue
        path: dict[Vertex, Iterator[Vertex]] = {start: onward.of(start)}
        while path:
            here, ways = next(reversed(path.items()))
            ahead = next(ways, None)
            if ahead is None:
                del path[here]
                done.add(here)
            elif ahead in path:
                way = list(path)
                yield [*way[way.index(ahead) :], ahead]
            elif ahead not in done:
                path[ahead] = onward.of(ahead)


class _Onward:
    """Where a call goes on to from a vertex without any wait."""

    def __init__(self, config: TenantConfig) -> None:
        self._config = config
        self._nodes: dict[str, dict[str, PlanNode]] = {}

    def of(self, vertex: Vertex) -> Iterator[Vertex]:
        if not vertex.node:
            number = self._config.numbers.get(vertex.resource_id)
            yield from self._enters(number.destination if number is not None else None)
            return
        node = self._plan(vertex.resource_id).get(vertex.node)
        if node is None:
            return
        if node.destination is not None:
            yield from self._enters(node.destination.destination)
        if node.calendar is not None or node.announcement is not None:
            for _, target in targets(node):
                yield Vertex(vertex.resource_id, target)

    def _plan(self, plan_id: str) -> dict[str, PlanNode]:
        if plan_id not in self._nodes:
            plan = self._config.plans.get(plan_id)
            self._nodes[plan_id] = {node.id: node for node in plan.nodes} if plan is not None else {}
        return self._nodes[plan_id]

    def _enters(self, destination: Destination | None) -> Iterator[Vertex]:
        if destination is None:
            return
        plan = self._config.plans.get(destination.plan_id or "")
        if plan is not None:
            yield Vertex(plan.id, plan.entry)
        if destination.external_number is not None and destination.external_number in self._config.numbers:
            yield Vertex(destination.external_number)
