"""What a resource refers to, found by the names of its fields, so that a new kind of resource is covered without a word here.

A field `<kind>_id` that is not empty refers to a resource of that kind, and `<kind>_ids` to several; a few more have names of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from carillon_contracts.config import RESOURCES, Resource
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.outcomes import Holder

#: Kinds that are referred to and come with a later version: a reference to one is refused as long as it cannot exist.
_AHEAD = ("queue",)
#: Field name -> kind of the resource it names.
REFERRING: Mapping[str, str] = {
    **{f"{kind}_id": kind for kind in (*_AHEAD, *RESOURCES)},
    "except_caller_list_id": "caller_list",
    "main_number": "number",
    "caller_number": "number",
    "owner_user_id": "user",
    "music_id": "playlist",
    "hold_music_id": "playlist",
    "ringback_music_id": "playlist",
    "busy_music_id": "playlist",
    "parent_id": "department",
    "home_user_id": "user",
    "caller_user_id": "user",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """`path` is relative to the resource (`members[2].user_id`)."""

    path: str
    kind: str
    resource_id: str


def references(resource: BaseModel) -> Iterator[Reference]:
    """Every reference in the resource, in the order of its fields."""
    yield from _in_model(resource, "")


@cache
def kind_of(field: str) -> str:
    """The kind that a field of this name refers to (a list: `user_ids`, `allowed_user_ids`); empty: it refers to nothing."""
    return REFERRING.get(field) or next((kind for kind in RESOURCES if f"_{field}".endswith(f"_{kind}_ids")), "")


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, str | None, Any], ...]:
    """(field, kind that it refers to, default, which refers to nothing) of the fields that refer or that hold values with fields of
    their own (no kind)."""
    found: list[tuple[str, str | None, Any]] = []
    for name, field in model.model_fields.items():
        if kind := kind_of(name):
            found.append((name, kind, field.default))
        elif _holds_models(field.annotation):
            found.append((name, None, field.default))
    return tuple(found)


def _holds_models(annotation: object) -> bool:
    return (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or any(map(_holds_models, get_args(annotation)))


def _in_model(model: BaseModel, path: str) -> Iterator[Reference]:
    values = model.__dict__
    for name, kind, default in _fields(type(model)):
        value = values[name]
        if not value or value is default:
            continue
        here = f"{path}.{name}" if path else name
        if kind is None:
            yield from _in_value(value, here)
        elif isinstance(value, tuple):
            yield from (Reference(f"{here}[{index}]", kind, each) for index, each in enumerate(value))
        else:
            yield Reference(here, kind, value)


def _in_value(value: object, path: str) -> Iterator[Reference]:
    if isinstance(value, BaseModel):
        yield from _in_model(value, path)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _in_value(item, f"{path}[{index}]")


def exists(config: TenantConfig, kind: str, resource_id: str) -> bool:
    """Whether the tenant has such a resource."""
    return resource_id in config.resources.get(kind, {})


def everything(config: TenantConfig) -> Iterator[Resource]:
    """Every resource of the tenant, kind by kind."""
    for of_kind in config.resources.values():
        yield from of_kind.values()


def paths_to(resource: Resource, kind: str, resource_id: str) -> Iterator[Holder]:
    """The fields by which the resource refers to another."""
    for reference in references(resource):
        if (reference.kind, reference.resource_id) == (kind, resource_id):
            yield Holder(resource.KIND, resource.id, reference.path)
