"""How users and trunks are reached at this moment, from accounts, registrations and resolved names."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from carillon_media.domain.accounts import Accounts
from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.fallback import fallback
from carillon_media.domain.steps import Step
from carillon_media.handlers.registrar import Registrar
from carillon_sip.flow import DEFAULT_PORTS, Address, Flow, Transport, host_port
from carillon_sip.uri import Uri


class Resolver(Protocol):
    """Host names as IP addresses, as known now; never asks anybody while a call waits."""

    def address(self, host: str) -> str | None:
        """IP address of a name or of an IP address; None: not known (yet)."""

    def names(self, ip: str) -> Iterable[str]:
        """The address itself, and every name that has it."""


class Reachability:
    """Answers for `domain.facts.Reach`, `ports.Directory` and `admission.TrunkHosts`."""

    def __init__(
        self,
        accounts: Accounts,
        registrar: Callable[[], Registrar],
        resolver: Resolver,
        local: Callable[[Transport, str], Address],
    ) -> None:
        self._accounts = accounts
        self._registrar = registrar
        self._resolver = resolver
        self._local = local

    def contacts_of_user(self, tenant: str, user_id: str) -> Sequence[Contact]:
        """Every registered device of the user, each over the flow it registered from."""
        accounts = self._accounts
        number, realm = accounts.extension_of(tenant, user_id), accounts.realm_of(tenant)
        return [
            Contact(device.binding.contact, device.binding.flow, user_id, number, realm)
            for sip_user in accounts.devices_of(tenant, user_id)
            for device in self._registrar().devices_of(sip_user)
            if device.tenant == tenant
        ]

    def contact_of_trunk(self, tenant: str, trunk_id: str, number: str) -> Contact | None:
        """The trunk, dialled with `number`."""
        trunk = self._accounts.trunk(tenant, trunk_id)
        ip = self._resolver.address(trunk.host) if trunk else None
        if trunk is None or ip is None:
            return None
        transport = trunk.transport
        port = trunk.port or DEFAULT_PORTS[transport]
        flow = Flow(transport, self._local(transport, ip), (ip, port), trunk.host if transport == "tls" else "")
        parameters = () if transport == "udp" else (("transport", transport),)
        uri = Uri("sip", number, f"[{trunk.host}]" if ":" in trunk.host else trunk.host, trunk.port, parameters)
        return Contact(str(uri), flow, f"trunk:{trunk_id}", number, host_port(flow.local).rpartition(":")[0], asserted=True)

    def trunks_at(self, ip: str) -> list[tuple[str, str]]:
        """Trunks that stand at this address, whatever the port."""
        found = [trunk for host in self._resolver.names(ip) for trunk in self._accounts.trunks_of_host(host)]
        return [(trunk.tenant, trunk.trunk_id) for trunk in found]

    def fallback(self, facts: CallFacts) -> tuple[Step | None, int]:
        """What media does alone."""
        config = self._accounts.config(facts.tenant)
        number = self._accounts.caller_number_of(facts.tenant, facts.caller_user_id) if facts.caller_user_id else ""
        return fallback(config, facts, number), config.seq if config else 0
