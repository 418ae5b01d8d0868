"""What is left of others' resources when a person's own are gone: groups without them, numbers that lead nowhere yet, free ports.

Where calls would go another way without anybody having said which (a plan, a menu, a queue's way out) nothing is taken out: whoever asks
has to say first, and the refusal names the place.
"""

from collections.abc import Set
from typing import Any

from pydantic import ValidationError

from carillon_contracts.config import RESOURCES, Extension, Resource
from carillon_directory.domain.documents import dump
from carillon_directory.domain.references import kind_of, references

Key = tuple[str, str]
#: Members are taken out of lists of these kinds.
_MEMBERS = frozenset({"ring_group", "hunt_group", "pickup_group", "paging_group", "supervision", "queue", "user", "device"})
#: And what leads to the person is unset in these.
_LEADING = frozenset({"user", "number", "department", "site", "conference_room", "fax_box"})


def refers(resource: Resource, gone: Set[Key]) -> bool:
    """Whether it refers to anything that is gone."""
    return any((each.kind, each.resource_id) in gone for each in references(resource))


def leads_to(extension: Extension, gone: Set[Key]) -> bool:
    """Whether it is a user's who is gone, and goes with them."""
    return ("user", extension.destination.user_id) in gone


def parted(resource: Resource, gone: Set[Key]) -> Resource:
    """The resource without references to what is gone; the very same object where it has none or could not stand then."""
    if not refers(resource, gone):
        return resource
    document = dump(resource)
    for name, value in list(document.items()):
        if isinstance(value, list) and resource.KIND in _MEMBERS:
            document[name] = [each for each in value if not _leads(each, name, gone)]
        elif resource.KIND in _LEADING:
            kept = _kept(value, name, gone)
            if kept is None:
                del document[name]
            else:
                document[name] = kept
    try:
        return RESOURCES[resource.KIND].model_validate(document)
    except ValidationError:
        return resource


def _kept(value: Any, name: str, gone: Set[Key]) -> Any:
    """None: it is unset."""
    if _leads(value, name, gone):
        return None
    if isinstance(value, dict):
        return {inner: kept for inner, each in value.items() if (kept := _kept(each, inner, gone)) is not None}
    return value


def _leads(value: Any, name: str, gone: Set[Key]) -> bool:
    if isinstance(value, str):
        return (kind_of(name), value) in gone
    return isinstance(value, dict) and any(isinstance(each, str) and (kind_of(inner), each) in gone for inner, each in value.items())
