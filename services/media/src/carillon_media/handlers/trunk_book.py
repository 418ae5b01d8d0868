"""Every tenant's trunks as lines, made anew when the tenant's configuration changed; passwords are opened here and nowhere else."""

from collections.abc import Iterator, Mapping

from carillon_contracts.config import TrunkCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.logs import get_logger
from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.trunk_lines import TrunkLine, lines_of

_log = get_logger(__name__)


class TrunkBook:
    """Lines by tenant and trunk id."""

    def __init__(self, accounts: Accounts, sealer: Sealer) -> None:
        self._accounts = accounts
        self._sealer = sealer
        self._known: dict[str, tuple[TenantConfig, Mapping[str, TrunkLine]]] = {}

    def line(self, tenant: str, trunk_id: str) -> TrunkLine | None:
        """One trunk."""
        return self._of(tenant).get(trunk_id)

    def lines(self) -> Iterator[TrunkLine]:
        """Every trunk of every tenant."""
        for tenant in self._accounts.tenants():
            yield from self._of(tenant).values()

    def of_tenant(self, tenant: str) -> list[TrunkLine]:
        """A tenant's trunks by id."""
        return [line for _, line in sorted(self._of(tenant).items())]

    def _of(self, tenant: str) -> Mapping[str, TrunkLine]:
        config = self._accounts.config(tenant)
        if config is None:
            self._known.pop(tenant, None)
            return {}
        known = self._known.get(tenant)
        if known is None or known[0] is not config:
            known = self._known[tenant] = (config, lines_of(config, self._open))
        return known[1]

    def _open(self, tenant: str, credential: TrunkCredential) -> str | None:
        try:
            return self._sealer.open(credential.sealed_password, tenant, credential.id)
        except SealBroken:
            _log.error("a carrier's password was sealed with another key", tenant=tenant, credential=credential.id)
            return None
