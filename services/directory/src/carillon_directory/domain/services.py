"""What a user has: nothing of a service that is off is theirs, and none is switched off while something of it is.

Always: the refusal names the field and what would have to go.
"""

from collections.abc import Iterator

from carillon_contracts.config import ConferenceRoom, FaxBox, Resource, SipCredential, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.index import Index
from carillon_directory.domain.outcomes import Violation

#: Kind of what a user can have -> the service it is of, and the field that says whose it is.
_OF: dict[str, tuple[str, str]] = {
    SipCredential.KIND: ("fixed_line", "user_id"),
    FaxBox.KIND: ("fax", "user_id"),
    ConferenceRoom.KIND: ("conference", "owner_user_id"),
}


def violations(config: TenantConfig, index: Index, resource: Resource, before: Resource | None = None) -> Iterator[Violation]:
    """Of the resource in `config`, which holds it already; fields relative to it. `before`: what it was."""
    if isinstance(resource, User):
        yield from _of_user(config, index, resource, before if isinstance(before, User) else None)
    elif resource.KIND in _OF:
        service, field = _OF[resource.KIND]
        user = config.users.get(str(getattr(resource, field)))
        if user is not None and not getattr(user.services, service):
            yield Violation(field, f"user {user.id!r} does not have the service {service}")


def _of_user(config: TenantConfig, index: Index, user: User, before: User | None) -> Iterator[Violation]:
    if user.mailbox_id and not user.services.messaging:
        yield Violation("mailbox_id", "the user does not have the service messaging")
    changed = before is None or (before.mobile, before.services) != (user.mobile, user.services)
    if changed and user.mobile and not user.services.mobile:
        yield Violation("mobile", "the user does not have the service mobile")
    off = {kind: field for kind, (service, field) in _OF.items() if not getattr(user.services, service)}
    for kind, resource_id in index.referring(User.KIND, user.id) if off else ():
        other = config.resources.get(kind, {}).get(resource_id)
        if kind in off and getattr(other, off[kind], "") == user.id:
            yield Violation(f"services.{_OF[kind][0]}", f"{kind} {resource_id!r} is the user's")
