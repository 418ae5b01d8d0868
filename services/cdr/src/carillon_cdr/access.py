"""Who asks of records and recordings, and how far they reach: a tenant's configuration of now, and the caller's token."""

from carillon_cdr.ports import Configurations
from carillon_contracts.inherited import account_codes_for
from carillon_contracts.rights import Asker, Names, level, reach
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import PermissionDenied
from carillon_kit.grpc_server import current_principal, current_tenant


class Access:
    """Of the call that is being served."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations

    @property
    def config(self) -> TenantConfig:
        """The tenant's."""
        return self._configurations.of(current_tenant())

    def reached(self, what: str, needed: str = "read") -> Names | None:
        """As `rights.reach` has it. Raises `PermissionDenied` where the caller's rights profile does not allow it."""
        config, asker = self.config, _asker()
        if level(config, asker.rights_profile, what) not in (needed, "write"):
            raise PermissionDenied(f"the rights profile does not allow to {needed} a {what}")
        return reach(config, asker)

    def sees_account_codes(self) -> bool:
        """People see them only where the policy that counts for them lets them."""
        config, asker = self.config, _asker()
        if asker.whole_tenant or asker.department:
            return True
        user = config.users.get(asker.user_id)
        policy = account_codes_for(config, user) if user is not None else None
        return policy is not None and policy.users_may_see


def _asker() -> Asker:
    principal = current_principal()
    return Asker.of(principal.roles, principal.subject, principal.department, principal.rights_profile)
