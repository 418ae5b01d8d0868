"""What is a person's in a configuration, and which changes were about them."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from carillon_contracts.config import ConfigChanged, Resource, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.index import Index
from carillon_directory.domain.organisation import user_of
from carillon_directory.domain.references import everything

Key = tuple[str, str]
#: Fields that say whose a resource is, as a document has them.
_WHOSE = ("user_id", "owner_user_id", "home_user_id")


def theirs(config: TenantConfig, user_id: str) -> Iterator[Resource]:
    """The user, their mailbox, and what is theirs by its own words, kind by kind."""
    user = config.users.get(user_id)
    for resource in everything(config):
        key = (resource.KIND, resource.id)
        if key in ((User.KIND, user_id), ("mailbox", user.mailbox_id if user else "")) or user_of(config, resource) == user_id:
            yield resource


def mentions(config: TenantConfig, index: Index, user_id: str) -> list[Key]:
    """(kind, id) of what names the user and is not theirs."""
    own = {(each.KIND, each.id) for each in theirs(config, user_id)}
    return sorted(set(index.referring(User.KIND, user_id)) - own)


def concerns(change: ConfigChanged, user_id: str, own: Set[Key]) -> bool:
    """Whether a change is of what is the person's, or was at the time, or was made by them."""
    key = (change.resource, change.resource_id)
    if change.actor == f"user/{user_id}" or key in own or key == (User.KIND, user_id):
        return True
    return any(_whose(document, user_id) for document in (change.before, change.after) if document is not None)


def _whose(document: Mapping[str, Any], user_id: str) -> bool:
    destination = document.get("destination")
    inside = destination.get("user_id") if isinstance(destination, Mapping) else None
    return user_id in (inside, *(document.get(name) for name in _WHOSE))
