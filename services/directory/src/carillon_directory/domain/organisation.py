"""Which department and site a resource belongs to, and what is below one."""

from itertools import islice

from carillon_contracts.config import Department, Departmental, Resource, SipCredential, Site, User
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig

#: Deeper than any company; a circle is refused before it gets in.
DEEPEST = 50


def department_of(config: TenantConfig, resource: Resource) -> str:
    """Its own, or that of the user whose it is, or of what it leads to; empty if none."""
    if type(resource) is User:  # Lists ask it of tens of thousands.
        return resource.department_id
    if isinstance(resource, Department):
        return resource.id
    if isinstance(resource, Departmental) and resource.department_id:
        return resource.department_id
    user = config.users.get(user_of(config, resource))
    return user.department_id if user is not None else ""


def user_of(config: TenantConfig, resource: Resource) -> str:
    """Whose the resource is: by `user_id`, `owner_user_id`, a destination, or the first line of a device."""
    destination = getattr(resource, "destination", None)
    lines = getattr(resource, "lines", ())
    if lines:
        credential = config.get(SipCredential, lines[0].sip_credential_id)
        return credential.user_id if credential is not None else ""
    return str(getattr(resource, "user_id", "") or getattr(resource, "owner_user_id", "") or getattr(destination, "user_id", "") or "")


def site_of(config: TenantConfig, resource: Resource) -> str:
    """Its own, or its user's, or that of its department or the nearest above; empty if none."""
    if isinstance(resource, Site):
        return resource.id
    own = str(getattr(resource, "site_id", ""))
    user = None if isinstance(resource, User) else config.users.get(user_of(config, resource))
    if own or user is not None:
        return own or site_of(config, user)  # type: ignore[arg-type]
    departments = islice(departments_from(config, department_of(config, resource)), DEEPEST)
    return next((each.site_id for each in departments if each.site_id), "")
