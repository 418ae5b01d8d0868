"""A plan is a graph: its nodes exist, can be reached, and no call runs in a circle without a wait.

A wait is whatever takes the caller's or a callee's part: ringing, a menu, a queue, a mailbox. Every other node, sub-plans, extensions and
the tenant's own numbers pass a call on by themselves, so a circle of these alone would never end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from carillon_contracts.config import Destination, Extension, Number, Plan, PlanNode, Resource, RingGroup
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.outcomes import Violation

#: Destinations that can come back with an outcome.
_RUNG = ("user_id", "external_number", "extension_id")
#: Ring groups inside one another.
MAX_NESTED = 5
#: Nodes that wait for somebody.
_WAITS = ("ring_group", "hunt_group", "menu", "queue", "mailbox")


@dataclass(frozen=True, slots=True)
class Vertex:
    """A place a call can be: a plan's node, or (without node) a number or an extension of the tenant."""

    resource_id: str
    node: str = ""

    def __str__(self) -> str:
        return f"{self.resource_id}/{self.node}" if self.node else self.resource_id


def plan_violations(plan: Plan) -> list[Violation]:
    """Unknown nodes, nodes that cannot be reached, and settings that would never count."""
    nodes = {node.id: node for node in plan.nodes}
    found = [] if plan.entry in nodes else [Violation("entry", f"the plan has no node {plan.entry!r}")]
    reached = _reached(plan.entry, nodes)
    for index, node in enumerate(plan.nodes):
        found += [
            Violation(f"nodes[{index}].{path}", f"the plan has no node {target!r}") for path, target in node.exits() if target not in nodes
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
            ahead += [target for _, target in nodes[here].exits()]
    return reached


def _never_counts(node: PlanNode) -> Iterator[tuple[str, str]]:
    value = node.destination
    if value is None or value.destination.kind in _RUNG:
        return
    if value.ring_seconds:
        yield "destination.ring_seconds", "counts only for a user or an external number"
    for path, _ in node.exits() if value.destination.fax_box_id is None else ():
        yield path, "counts only for a user or an external number; give a ring group or a menu its own node"


def loop_violation(config: TenantConfig, resource: Resource) -> Violation | None:
    """A circle without a wait that runs through the resource (a plan, number or extension of `config`), or None."""
    if isinstance(resource, Plan):
        places = {Vertex(resource.id, node.id): f"nodes[{index}]" for index, node in enumerate(resource.nodes)}
    elif isinstance(resource, Number | Extension):
        if next(_Onward(config).enters(resource.destination), None) is None:
            return None
        places = {Vertex(resource.id): "destination"}
    else:
        return None
    for circle in _circles(config, tuple(places)):
        field = next((places[vertex] for vertex in circle if vertex in places), None)
        if field is not None:
            return Violation(field, f"loop without a wait: {' -> '.join(map(str, circle))}")
    return None


def nesting_violation(config: TenantConfig, group: RingGroup) -> Violation | None:
    """A member by which the group would be inside itself, or stand in more than `MAX_NESTED` groups inside one another."""
    around: dict[str, list[str]] = {}
    for each in config.ring_groups.values():
        for member in each.members:
            around.setdefault(member.ring_group_id or "", []).append(each.id)
    above = _depth(group.id, lambda name: around.get(name, []))
    for index, member in enumerate(group.members):
        field = f"members[{index}].ring_group_id"
        if member.ring_group_id is None:
            continue
        if (way := _way_back(config, group.id, member.ring_group_id)) is not None:
            return Violation(field, f"the group would be inside itself: {' -> '.join((group.id, *way))}")
        if above + _depth(member.ring_group_id, lambda name: _inside(config, name)) > MAX_NESTED:
            return Violation(field, f"more than {MAX_NESTED} groups would be inside one another")
    return None


def _inside(config: TenantConfig, group_id: str) -> list[str]:
    group = config.ring_groups.get(group_id)
    return [member.ring_group_id for member in group.members if member.ring_group_id is not None] if group is not None else []


def _way_back(config: TenantConfig, home: str, start: str) -> list[str] | None:
    """The groups from `start` to `home`, each inside the one before."""
    came_from: dict[str, str] = {start: ""}
    ahead = [start]
    while ahead:
        here = ahead.pop()
        if here == home:
            way = [here]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return way[::-1]
        for each in _inside(config, here):
            if each not in came_from:
                came_from[each] = here
                ahead.append(each)
    return None


def _depth(start: str, onward: Callable[[str], list[str]]) -> int:
    """Groups one after another from `start` on, itself with them; counted no further than need be."""
    level, depth = {start}, 0
    while level and depth <= MAX_NESTED:
        level, depth = {each for here in level for each in onward(here)}, depth + 1
    return depth


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
            yield from self.enters(self._resource_destination(vertex.resource_id))
            return
        node = self._plan(vertex.resource_id).get(vertex.node)
        if node is None or node.kind in _WAITS:
            return
        if node.destination is not None:
            yield from self.enters(node.destination.destination)
        elif node.sub_plan is not None:
            plan = self._config.plans.get(node.sub_plan.plan_id)
            if plan is not None:
                yield Vertex(plan.id, plan.entry)
                yield from self._returns(vertex, node, plan)
        else:
            for _, target in node.exits():
                yield Vertex(vertex.resource_id, target)

    def _returns(self, vertex: Vertex, node: PlanNode, plan: Plan) -> Iterator[Vertex]:
        """The sub-plan's exits, if one of its return nodes can be reached without a wait inside the plan itself."""
        nodes = self._plan(plan.id)
        ahead, seen = [plan.entry], set()
        while ahead:
            here = nodes.get(ahead.pop())
            if here is None or here.id in seen:
                continue
            seen.add(here.id)
            if here.return_to is not None:
                yield from (Vertex(vertex.resource_id, target) for _, target in node.exits())
                return
            if here.kind not in (*_WAITS, "destination"):
                ahead += [target for _, target in here.exits()]

    def _resource_destination(self, resource_id: str) -> Destination | None:
        """Of a number, or else of an extension."""
        number = self._config.numbers.get(resource_id)
        if number is not None:
            return number.destination
        extension = self._config.extensions.get(resource_id)
        return extension.destination if extension is not None else None

    def _plan(self, plan_id: str) -> dict[str, PlanNode]:
        if plan_id not in self._nodes:
            plan = self._config.plans.get(plan_id)
            self._nodes[plan_id] = {node.id: node for node in plan.nodes} if plan is not None else {}
        return self._nodes[plan_id]

    def enters(self, destination: Destination | None) -> Iterator[Vertex]:
        """Where a destination leads at once."""
        if destination is None:
            return
        plan = self._config.plans.get(destination.plan_id or "")
        if plan is not None:
            yield Vertex(plan.id, plan.entry)
        if destination.external_number is not None and destination.external_number in self._config.numbers:
            yield Vertex(destination.external_number)
        if destination.extension_id is not None and destination.extension_id in self._config.extensions:
            yield Vertex(destination.extension_id)
