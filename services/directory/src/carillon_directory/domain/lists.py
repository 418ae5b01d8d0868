"""Lists of resources: which of them (filter and scope), in which order, from where on. As of AIP-132 and AIP-160, of which this is a part.

A filter is conditions joined by AND: `field op value` with `=`, `!=`, `<`, `<=`, `>`, `>=`, or `:` for "contains" (letters' case does not
count, and of a list: has such an item). Fields are dotted; values with spaces stand in double quotes. Nothing is evaluated but that.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import BaseModel

from carillon_contracts.config import Department, Resource
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.credentials import is_secret
from carillon_directory.domain.organisation import below, department_of, site_of

_CONDITION = re.compile(r'\s*([a-z][a-z0-9_.]*)\s*(!=|<=|>=|=|<|>|:)\s*("(?:[^"\\]|\\.)*"|[^\s"]+)\s*')
_AND = re.compile(r"AND\s")
_LONGEST = 1000
_MOST = 20


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
    config: TenantConfig, kind: type[Resource], query: Query, reach: Reach, size: int, after: str = "", skip: int = 0
) -> tuple[list[Resource], bool]:
    """At most `size` resources and whether there are more: those after the id `after`, or (with an order) past the first `skip`.

    Raises `BadQuery`.
    """
    wanted = _wanted(config, kind, query, reach)
    known = config.resources.get(kind.KIND, {})
    order = _order(kind, query.order_by)
    if order:
        found = sorted((each for each in known.values() if wanted(each)), key=lambda each: each.id)
        for path, descending in reversed(order):
            found.sort(key=lambda each: _sortable(_value(each, path)), reverse=descending)
        return found[skip : skip + size], len(found) > skip + size
    ordered = known if isinstance(known, SortedMap) else SortedMap(known)
    rest: Iterable[tuple[str, Resource]] = ordered.items_from(after, after=True) if after else ordered.items()
    some = list(islice((each for _, each in rest if wanted(each)), size + 1))
    return some[:size], len(some) > size


def _wanted(config: TenantConfig, kind: type[Resource], query: Query, reach: Reach) -> Callable[[Resource], bool]:
    conditions = list(_conditions(kind, query.filter))
    departments = _departments(config, query)

    def wanted(resource: Resource) -> bool:
        if not all(test(resource) for test in conditions):
            return False
        if query.department_id and department_of(config, resource) not in departments:
            return False
        if query.site_id and site_of(config, resource) != query.site_id and department_of(config, resource) not in departments:
            return False
        return reach.covers(resource)

    return wanted


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


def _conditions(kind: type[Resource], text: str) -> Iterator[Callable[[Resource], bool]]:
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


def _condition(path: tuple[str, ...], operator: str, written: str) -> Callable[[Resource], bool]:
    text = re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written

    def test(resource: Resource) -> bool:
        value = _value(resource, path)
        if operator == ":":
            items = value if isinstance(value, tuple) else (value,)
            return any(text.lower() in str(item).lower() for item in items if item is not None)
        left, right = _comparable(value, text)
        compare: Mapping[str, bool] = {"=": left == right, "!=": left != right}
        if operator in compare:
            return compare[operator]
        return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])

    return test


def _comparable(value: Any, text: str) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return str(value).lower(), text.lower()
    if isinstance(value, int):
        try:
            return value, int(text)
        except ValueError:
            return str(value), text
    return "" if value is None else str(value), text


def _order(kind: type[Resource], text: str) -> list[tuple[tuple[str, ...], bool]]:
    found = []
    for part in text.split(",") if text.strip() else ():
        name, *rest = part.split() or [""]
        if rest not in ([], ["asc"], ["desc"]):
            raise BadQuery("order_by", f"`field` or `field desc` is expected, not {part.strip()[:40]!r}")
        found.append((_path(kind, name, "order_by"), rest == ["desc"]))
    if len(found) > _MOST:
        raise BadQuery("order_by", f"at most {_MOST} fields")
    return found


def _path(kind: type[Resource], dotted: str, field: str) -> tuple[str, ...]:
    parts = tuple(dotted.split("."))
    if parts[0] not in kind.model_fields or any(is_secret(part) for part in parts):
        raise BadQuery(field, f"{kind.KIND} has no field {dotted!r}")
    return parts


def _value(resource: Resource, path: tuple[str, ...]) -> Any:
    value: Any = resource
    for part in path:
        value = getattr(value, part, None) if isinstance(value, BaseModel) else None
    return value


def _sortable(value: Any) -> tuple[int, Any]:
    """Numbers before texts; texts without regard to letters' case."""
    return (0, int(value)) if isinstance(value, int) else (1, "" if value is None else str(value).casefold())
