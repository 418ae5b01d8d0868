"""Whose logins there are: users of tenants and the operator's own people, by what somebody types, by tenant and id, and as told of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carillon_contracts import audit
from carillon_contracts.config import User
from carillon_contracts.envelope import EventData
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.logins import PASSWORD_RULE, Login, password_fits
from carillon_directory.handlers import Directory
from carillon_directory.ports import Audit, Realms
from carillon_kit.auth import OPERATOR
from carillon_kit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Person:
    """A user, or (without a tenant) one of the operator's people."""

    tenant: str
    user_id: str
    login: str
    roles: Sequence[str]
    #: Of a department's admin, and of whom an admin's rights are narrowed.
    department: str = ""
    rights_profile: str = ""

    @property
    def subject(self) -> str:
        """As tokens name it."""
        return f"user/{self.user_id}"


#: By a tenant's configuration: whose logins are wanted.
Choose = Callable[[TenantConfig], Callable[[Person], bool]]


def person_in(config: TenantConfig, user_id: str) -> Person | None:
    """A user; with the configuration of no tenant one of the operator's people."""
    if not config.tenant_id:
        return Person("", user_id, user_id, [str(OPERATOR)])
    user = config.users.get(user_id)
    if user is None:
        return None
    return Person(config.tenant_id, user_id, login_of(config, user), [user.role], user.department_id, user.rights_profile_id)


def login_of(config: TenantConfig, user: User) -> str:
    """What a user types to log in."""
    return f"{user.login or user.id}@{config.tenant.realm}"


class People:
    """Who is meant."""

    def __init__(self, directory: Directory, realms: Realms, trail: Audit) -> None:
        self.directory = directory
        self._realms = realms
        self._trail = trail

    async def named(self, text: str) -> Person | None:
        """By what somebody types as a login."""
        login = Login.of(text)
        if not login.name or "\0" in text:
            return None
        if not login.realm:
            return await self.person("", login.name)
        tenant = await self._realms.tenant_of(login.realm)
        if tenant is None:
            return None
        config = await self.config(tenant)
        found = next((user for user in config.users.values() if login.name == user.login), None) or config.users.get(login.name)
        return None if found is None else person_in(config, found.id)

    async def person(self, tenant: str, user_id: str) -> Person | None:
        """By tenant (empty: the operator's) and id."""
        return person_in(await self.config(tenant), user_id)

    async def config(self, tenant: str) -> TenantConfig:
        """A tenant's as it is now; an empty one if there is no such tenant."""
        found = await self.directory.read(tenant)
        return found if isinstance(found, TenantConfig) else TenantConfig(tenant)

    def tell_changed(self, tenant: str, action: str, about: str, by: str) -> None:
        """Somebody changed who may log in, or a key."""
        event = audit.AccessChanged.model_validate({"action": action, "about": about, "by": by})
        self.tell(tenant, event, about)

    def tell(self, tenant: str, event: EventData, about: str) -> None:
        """In the audit trail."""
        self._trail.tell(tenant, event, f"login/{about}")


def check_password(name: str, password: str, person: Person) -> None:
    """Raises `InvalidArgument` with the name of the field."""
    if not password_fits(password, person.login):
        raise InvalidArgument({name: PASSWORD_RULE})
