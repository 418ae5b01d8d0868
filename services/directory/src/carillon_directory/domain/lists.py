"""Lists of resources: which of them (filter and scope), in which order, from where on. As of AIP-132 and AIP-160, of which this is a part.

A filter is conditions joined by AND: `field op value` with `=`, `!=`, `<`, `<=`, `>`, `>=`, or `:` for "contains" (letters' case does not
count, and of a list: has such an item). Fields are dotted; values with spaces stand in double quotes. Nothing is evaluated but that.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

from carillon_contracts.config import Department, Resource, User
from carillon_contracts.inherited import below
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.columns import Among, Columns, Condition
from carillon_directory.domain.credentials import is_secret
from carillon_directory.domain.orders import Order, Orders, Resources, key_of, smallest, value_at
from carillon_directory.domain.organisation import department_of, site_of

_CONDITION = re.compile(r'\s*([a-z][a-z0-9_.]*)\s*(!=|<=|>=|=|<|>|:)\s*("(?:[^"\\]|\\.)*"|[^\s"]+)\s*')
_AND = re.compile(r"AND\s")
_LONGEST = 1000
_MOST = 20
#: Of an order that is not at hand so many are looked for one by one.
_AHEAD = 1000
#: Fewer than one of so many are sorted by themselves.
_FEW = 16
#: Fields that people themselves may not be shown.
_SEEN_BY_SOME = frozenset({"account_code"})
Test = Callable[[Resource], bool]
R = TypeVar("R", bound=Resource)


class BadQuery(ValueError):
    """A filter or an order that cannot be taken; `field` is the request's."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for; `after` is where the page before ended."""

    filter: str = ""
    order_by: str = ""
    department_id: str = ""
    site_id: str = ""
    with_below: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What was worked out for one page and serves the next."""

    orders: Orders
    columns: Columns


def page(
    config: TenantConfig,
    kind: type[Resource],
    query: Query,
    reach: Reach,
    size: int,
    after: str = "",
    skip: int = 0,
    kept: Kept | None = None,
) -> tuple[list[Resource], bool]:
    """At most `size` resources and whether there are more: those after the id `after`, or (with an order) past the first `skip`.

    `kept` keeps what was worked out for the next page. Raises `BadQuery`.
    """
    conditions = list(_conditions(kind, query.filter))
    departments = _departments(config, query)
    order = _order(kind, query.order_by)
    asked = {"filter": {each.path[0] for each in conditions}, "order_by": {path[0] for path, _ in order}}
    for field, names in asked.items():
        if reach.bounds.user and names & _SEEN_BY_SOME:
            raise BadQuery(field, f"users neither find nor order by {', '.join(sorted(names & _SEEN_BY_SOME))}")
    tests = list(_tests(config, kind, query, reach, conditions, departments))
    known = SortedMap.of(config.resources.get(kind.KIND, {}))
    kept = kept or Kept(Orders(1), Columns(1))
    columnar: list[Condition | Among] = [*(each for each in conditions if each.columnar), *_departmental(kind, query, reach, departments)]
    found: Iterable[Resource]
    ahead = skip + size + 1
    # What a person turns pages through is not waited for: the order is made behind the first pages.
    quick = bool(order) and not tests and ahead <= _AHEAD and not kept.orders.knows(config.tenant_id, kind.KIND, config.seq, known, order)
    if columnar:
        found = kept.columns.matching(config.tenant_id, kind.KIND, config.seq, known, columnar, "" if order else after)
        if quick:
            found = smallest(list(found), order, ahead)
        elif order:
            found = _in_order(list(found), known, order, lambda: kept.orders.of(config.tenant_id, kind.KIND, config.seq, known, order))
    elif quick:
        found = smallest(list(known.values()), order, ahead)
    elif order:
        found = kept.orders.of(config.tenant_id, kind.KIND, config.seq, known, order)
    else:
        found = (each for _, each in known.items_from(after, after=True)) if after else known.values()
    for test in tests:
        found = filter(test, found)
    start = skip if order else 0
    some = list(islice(found, start, start + size + 1))
    return some[:size], len(some) > size


def selected(kind: type[R], resources: Iterable[R], filter_: str, order_by: str) -> list[R]:
    """All of them that pass the filter, in the order (empty: as they come); for what is not of one tenant. Raises `BadQuery`."""
    conditions, order = list(_conditions(kind, filter_)), _order(kind, order_by)
    found = [each for each in resources if all(_holds(condition, each) for condition in conditions)]
    return sorted(found, key=key_of(order)) if order else found


def _in_order(hits: list[Resource], known: Resources, order: Order, ordered: Callable[[], Iterable[Resource]]) -> Iterable[Resource]:
    """A few are sorted, many are found in the order of all."""
    if len(hits) * _FEW < len(known):
        return sorted(hits, key=key_of(order))
    names = {each.id for each in hits}
    return (each for each in ordered() if each.id in names)


def _tests(
    config: TenantConfig,
    kind: type[Resource],
    query: Query,
    reach: Reach,
    conditions: Sequence[Condition],
    departments: frozenset[str],
) -> Iterator[Test]:
    """What a resource must pass besides the conditions that columns decide, the cheap ones first."""
    for condition in conditions:
        if not condition.columnar:
            yield partial(_holds, condition)
    if query.department_id and kind is not User:
        yield lambda resource: department_of(config, resource) in departments
    if query.site_id:
        yield lambda resource: site_of(config, resource) == query.site_id or department_of(config, resource) in departments
    if not reach.bounds.whole and not (kind is User and _by_department(reach)):
        yield reach.covers


def _departmental(kind: type[Resource], query: Query, reach: Reach, departments: frozenset[str]) -> Iterator[Among]:
    """A user's department is a field; that of other resources is mostly their user's."""
    if kind is User and query.department_id:
        yield Among(("department_id",), departments)
    if kind is User and _by_department(reach):
        yield Among(("department_id",), reach.departments if reach.level(User.KIND) else frozenset())


def _by_department(reach: Reach) -> bool:
    """Whether departments alone, and the rights profile, bound it."""
    return bool(reach.bounds.department) and not reach.bounds.user


def _departments(config: TenantConfig, query: Query) -> frozenset[str]:
    if query.department_id:
        if query.department_id not in config.all(Department):
            raise BadQuery("scope.department_id", f"no department {query.department_id!r}")
        return below(config, query.department_id) if query.with_below else frozenset({query.department_id})
    if query.site_id:
        if query.site_id not in config.resources.get("site", {}):
            raise BadQuery("scope.site_id", f"no site {query.site_id!r}")
        at = [each.id for each in config.all(Department).values() if each.site_id == query.site_id]
        return frozenset().union(*(below(config, each) for each in at)) if query.with_below else frozenset()
    return frozenset()


def _conditions(kind: type[Resource], text: str) -> Iterator[Condition]:
    if len(text) > _LONGEST:
        raise BadQuery("filter", f"is longer than {_LONGEST} characters")
    at, number = 0, 0
    while at < len(text.rstrip()):
        if number:
            joined = _AND.match(text, at)
            if joined is None:
                raise BadQuery("filter", f"AND is expected at {text[at : at + 20]!r}")
            at = joined.end()
        found = _CONDITION.match(text, at)
        number += 1
        if found is None or number > _MOST:
            raise BadQuery("filter", f'a condition like `last_name = "Dumas"` is expected at {text[at : at + 20]!r}, at most {_MOST}')
        yield _condition(_path(kind, found[1], "filter"), found[2], found[3])
        at = found.end()


def _condition(path: tuple[str, ...], operator: str, written: str) -> Condition:
    return Condition(path, operator, re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written)


def _holds(condition: Condition, resource: Resource) -> bool:
    return condition.holds(value_at(resource, condition.path))


def _order(kind: type[Resource], text: str) -> Order:
    found = []
    for part in text.split(",") if text.strip() else ():
        name, *rest = part.split() or [""]
        if rest not in ([], ["asc"], ["desc"]):
            raise BadQuery("order_by", f"`field` or `field desc` is expected, not {part.strip()[:40]!r}")
        found.append((_path(kind, name, "order_by"), rest == ["desc"]))
    if len(found) > _MOST:
        raise BadQuery("order_by", f"at most {_MOST} fields")
    return tuple(found)


def _path(kind: type[Resource], dotted: str, field: str) -> tuple[str, ...]:
    parts = tuple(dotted.split("."))
    if parts[0] not in kind.model_fields or any(is_secret(part) for part in parts):
        raise BadQuery(field, f"{kind.KIND} has no field {dotted!r}")
    return parts
