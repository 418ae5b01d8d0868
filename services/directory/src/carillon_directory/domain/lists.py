"""Lists of resources: which of them (filter and scope), in which order, from where on. As of AIP-132 and AIP-160, of which this is a part.

A filter is conditions joined by AND: `field op value` with `=`, `!=`, `<`, `<=`, `>`, `>=`, or `:` for "contains" (letters' case does not
count, and of a list: has such an item). Fields are dotted; values with spaces stand in double quotes. Nothing is evaluated but that.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter, eq, ge, gt, le, lt, ne
from typing import Any

from carillon_contracts.config import Department, Resource
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.credentials import is_secret
from carillon_directory.domain.orders import Order, Orders, value_at
from carillon_directory.domain.organisation import below, department_of, site_of

_CONDITION = re.compile(r'\s*([a-z][a-z0-9_.]*)\s*(!=|<=|>=|=|<|>|:)\s*("(?:[^"\\]|\\.)*"|[^\s"]+)\s*')
_AND = re.compile(r"AND\s")
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_LONGEST = 1000
_MOST = 20
Test = Callable[[Resource], bool]


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


def page(
    config: TenantConfig,
    kind: type[Resource],
    query: Query,
    reach: Reach,
    size: int,
    after: str = "",
    skip: int = 0,
    orders: Orders | None = None,
) -> tuple[list[Resource], bool]:
    """At most `size` resources and whether there are more: those after the id `after`, or (with an order) past the first `skip`.

    `orders` keeps what was sorted for the next page. Raises `BadQuery`.
    """
    tests = list(_tests(config, kind, query, reach))
    known = config.resources.get(kind.KIND, {})
    order = _order(kind, query.order_by)
    found: Iterable[Resource]
    if order:
        found = (orders or Orders(1)).of(config.tenant_id, kind.KIND, config.seq, known, order)
    else:
        ordered = SortedMap.of(known)
        found = (each for _, each in ordered.items_from(after, after=True)) if after else ordered.values()
        skip = 0
    for test in tests:
        found = filter(test, found)
    some = list(islice(found, skip, skip + size + 1))
    return some[:size], len(some) > size


def _tests(config: TenantConfig, kind: type[Resource], query: Query, reach: Reach) -> Iterator[Test]:
    """What a resource must pass, the cheap ones first."""
    yield from _conditions(kind, query.filter)
    departments = _departments(config, query)
    if query.department_id:
        yield lambda resource: department_of(config, resource) in departments
    if query.site_id:
        yield lambda resource: site_of(config, resource) == query.site_id or department_of(config, resource) in departments
    if not reach.bounds.whole:
        yield reach.covers


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


def _conditions(kind: type[Resource], text: str) -> Iterator[Test]:
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


def _condition(path: tuple[str, ...], operator: str, written: str) -> Test:
    text = re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written
    lowered = text.lower()

    def contains(value: Any) -> bool:
        items = value if isinstance(value, tuple) else (value,)
        return any(lowered in str(item).lower() for item in items if item is not None)

    def compares(value: Any) -> bool:
        left, right = _comparable(value, text)
        return bool(_COMPARE[operator](left, right))

    slow = contains if operator == ":" else compares
    if len(path) > 1:
        return lambda resource: slow(value_at(resource, path))
    # The field of a resource itself, mostly a text, of tens of thousands of resources.
    field = attrgetter(path[0])
    if operator == ":":
        return lambda resource: lowered in value.lower() if type(value := field(resource)) is str else slow(value)
    compare = _COMPARE[operator]
    return lambda resource: bool(compare(value, text)) if type(value := field(resource)) is str else slow(value)


def _comparable(value: Any, text: str) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return str(value).lower(), text.lower()
    if isinstance(value, int):
        try:
            return value, int(text)
        except ValueError:
            return str(value), text
    return "" if value is None else str(value), text


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
