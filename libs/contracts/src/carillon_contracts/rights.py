"""Whose a call, a record, a recording or a message is, and who sees it.

Whose something is, and how far somebody reaches, are sets of names: `user/claire`, `department/sales`. Who reaches one of them sees it.
Always: a tenant's admins, operators and our own services see everything of a tenant; a department's admin what is of the departments from
theirs down, and their own; people their own; anybody else nothing. A rights profile only takes away.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from carillon_contracts.config import Departmental, HuntGroup, Mailbox, Queue, RightsProfile, RingGroup, User
from carillon_contracts.inherited import below
from carillon_contracts.tenant_config import TenantConfig

#: What rights profiles name besides kinds of resources. `*` means kinds of resources alone: who hears and reads what was said is named.
RECORD, RECORDING, MESSAGE, LIVE_CALL = "record", "recording", "message", "live_call"
_WHOLE = frozenset({"operator", "admin", "service"})
_TRUNK = "trunk:"
#: Through what of a department a call goes: it is the department's, whoever was rung.
_WAYS: Mapping[str, type[Departmental]] = {kind.KIND: kind for kind in (HuntGroup, Mailbox, Queue, RingGroup)}
Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks; `department`: of a department's admin, `user_id`: of a person; empty: neither."""

    whole_tenant: bool = False
    department: str = ""
    user_id: str = ""
    rights_profile: str = ""

    @classmethod
    def of(cls, roles: Collection[str], subject: str, department: str = "", rights_profile: str = "") -> "Asker":
        """By what a token says."""
        if not _WHOLE.isdisjoint(roles):
            return cls(whole_tenant=True, rights_profile=rights_profile)
        kind, _, user_id = subject.partition("/")
        person = kind == "user" and not {"user", "department_admin"}.isdisjoint(roles)
        return cls(False, department if "department_admin" in roles else "", user_id if person else "", rights_profile)


def level(config: TenantConfig, rights_profile: str, what: str) -> str:
    """What the profile allows with it: `write`, `read`, or nothing; no profile allows everything, one that is gone nothing."""
    if not rights_profile:
        return "write"
    profile = config.get(RightsProfile, rights_profile)
    named = {what} if what in (RECORD, RECORDING, MESSAGE, LIVE_CALL) else {"*", what}
    levels = {right.level for right in profile.rights if right.resource in named} if profile is not None else set()
    return "write" if "write" in levels else "read" if levels else ""


def reach(config: TenantConfig, asker: Asker) -> Names | None:
    """The names that they reach, in the configuration of now; None: everything."""
    if asker.whole_tenant:
        return None
    own = {f"user/{asker.user_id}"} if asker.user_id else set()
    known = asker.department in config.resources.get("department", {})
    return frozenset(own | {f"department/{each}" for each in (below(config, asker.department) if known else ())})


def sees(reached: Names | None, whose: Names) -> bool:
    """Whether they see what is of these names; `reached` as `reach` has it."""
    return reached is None or not reached.isdisjoint(whose)


def whose(config: TenantConfig, parties: Iterable[str], ways: Iterable[str] = ()) -> Names:
    """The names of who had part (`parties`: user ids; a trunk is nobody), and of where it came through, as `ways_in` has it."""
    users = {each for each in parties if each and not each.startswith(_TRUNK)}
    departments = set()
    for way in ways:
        kind, _, resource_id = way.partition("/")
        if kind == Mailbox.KIND:
            users |= config.derived("users by mailbox", User, _by_mailbox).get(resource_id, set())
        resource = config.get(_WAYS[kind], resource_id) if kind in _WAYS else None
        departments.add(resource.department_id if resource is not None else "")
    departments |= {user.department_id for each in users if (user := config.users.get(each)) is not None}
    return frozenset({f"user/{each}" for each in users} | {f"department/{each}" for each in departments if each})


def boxes(config: TenantConfig, reached: Names) -> frozenset[str]:
    """The mailboxes of which one of the names is among `whose`; as quick for one person of many as of a few."""
    indexes = config.derived("mailboxes by user", User, _boxes_of_users), config.derived("mailboxes by department", Mailbox, _own_boxes)
    found = {each for name in reached for index in indexes for each in index.get(name, ())}
    return frozenset(each for each in found if each in config.mailboxes)


def ways_in(subjects: Iterable[str]) -> set[str]:
    """The queues, groups and mailboxes among what decisions were about (`TraceLine.subject`): `queue/support`."""
    return {first for each in subjects for first in [each.partition(" ")[0]] if first.partition("/")[0] in _WAYS}


def _boxes_of_users(users: Mapping[str, User]) -> Mapping[str, set[str]]:
    """By user, and by the users' departments."""
    found: dict[str, set[str]] = {}
    for user in users.values():
        for name in (f"user/{user.id}", f"department/{user.department_id}") if user.mailbox_id else ():
            found.setdefault(name, set()).add(user.mailbox_id)
    return found


def _own_boxes(mailboxes: Mapping[str, Mailbox]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for mailbox in mailboxes.values():
        found.setdefault(f"department/{mailbox.department_id}", set()).add(mailbox.id)
    return found


def _by_mailbox(users: Mapping[str, User]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for user in users.values():
        if user.mailbox_id:
            found.setdefault(user.mailbox_id, set()).add(user.id)
    return found
