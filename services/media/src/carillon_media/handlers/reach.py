"""How users and trunks are reached at this moment, from accounts, registrations and resolved names."""

import zlib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from carillon_contracts.config import DoorPhone, codes_of
from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.elsewhere import NodeCall
from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.fallback import fallback
from carillon_media.domain.state import CallState, Parked
from carillon_media.domain.steps import Step
from carillon_media.domain.trunk_lines import TrunkAddress
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.cluster import Cluster
from carillon_media.handlers.registrar import Device, Registrar
from carillon_media.handlers.trunks import Trunks
from carillon_sip.flow import DEFAULT_PORTS, Address, Flow, Transport, host_port
from carillon_sip.locate import Destination, Server
from carillon_sip.registrar import Binding
from carillon_sip.uri import Uri


class Resolver(Protocol):
    """Names as DNS knew them last; never asks anybody while a call waits."""

    def servers(self, destination: Destination, choice: int = 0) -> Sequence[Server]:
        """Where to send, in the order to try; none while nothing is known. `choice` shares load by weight."""

    def names(self, ip: str) -> Iterable[str]:
        """The address itself, and every name that has it."""


class Reachability:
    """Phones of this node and of others, and trunks. Answers for `domain.facts.Reach`, `ports.Directory` and `admission.TrunkHosts`."""

    def __init__(
        self,
        accounts: Accounts,
        registrar: Callable[[], Registrar],
        trunks: Callable[[], Trunks],
        resolver: Resolver,
        local: Callable[[Transport, str], Address],
        cluster: Cluster,
        connections: Container[Flow] = (),
    ) -> None:
        self._connections = connections
        self._accounts = accounts
        self._registrar = registrar
        self._trunks = trunks
        self._resolver = resolver
        self._local = local
        #: Calls of this node, for what depends on them.
        self.calls: Mapping[str, CallActor] = {}
        #: A tenant's calls on other nodes.
        self.elsewhere: Callable[[str], Iterable[NodeCall]] = lambda tenant: ()
        self._cluster = cluster

    def name_of(self, tenant: str, user_id: str) -> str:
        """What a user's name is shown as."""
        return self._accounts.name_of(tenant, user_id)

    def contact_name(self, tenant: str, user_id: str, number: str) -> str:
        """What a user's contacts call who has this number."""
        return self._accounts.contact_name(tenant, user_id, number)

    def contacts_of_user(self, tenant: str, user_id: str) -> Sequence[Contact]:
        """Every registered device of the user, each over the flow it registered from; a phone that keeps several is called over one at a
        time (RFC 5626 section 5.3), the latest first."""
        accounts = self._accounts
        number, realm = accounts.extension_of(tenant, user_id), accounts.realm_of(tenant)
        found: list[Contact] = []
        for sip_user in accounts.devices_of(tenant, user_id):
            for flows in _by_phone(device for device in self._registrar().devices_of(sip_user) if device.tenant == tenant):
                ways = [contact for device in flows if (contact := self._contact_of(device, user_id, number, realm)) is not None]
                found += [replace(ways[0], spare=tuple(ways[1:]))] if ways else []
        return found

    def _contact_of(self, device: Device, user_id: str, number: str, realm: str) -> Contact | None:
        binding = device.binding
        way = self._cluster.way_to(device) if device.node else (self._flow_of(binding), binding.path)
        if way is None:
            return None
        return Contact(binding.contact, way[0], user_id, number, realm, route=way[1], device=binding.instance)

    def _flow_of(self, binding: Binding) -> Flow:
        """The flow it registered from; where that was a TCP connection that is gone, and no NAT stands between, one that is opened to its
        Contact (RFC 3261 section 18.1.1)."""
        flow = binding.flow
        if flow.transport != "tcp" or binding.path or binding.reg_id or flow in self._connections:
            return flow
        contact = Uri.parse(binding.contact)
        ip = flow.remote[0]
        return flow._replace(remote=(ip, contact.port or DEFAULT_PORTS["tcp"])) if contact.host.strip("[]") == ip else flow

    def contact_of_trunk(self, tenant: str, trunk_id: str, number: str, call_id: str = "") -> Contact | None:
        """The trunk, dialled with `number`: its first server that answers, the others as spares; equals share calls by their hash."""

        def contacts_at(server: TrunkAddress, dialled: str) -> list[Contact]:
            return self._contacts_at(server, dialled, zlib.crc32(call_id.encode() or number.encode()))

        return self._trunks().contact(tenant, trunk_id, number, contacts_at, call_id)

    def flows_to(self, server: TrunkAddress, choice: int = 0) -> list[Flow]:
        """Flows to a trunk's server, in the order to try; none while its name is not known. Over TLS it must prove the name that the
        tenant gave, whatever names DNS made of it (RFC 5922 section 4)."""
        return [
            Flow(
                found.transport,
                self._local(found.transport, found.ip),
                (found.ip, found.port),
                server.host if found.transport == "tls" else "",
            )
            for found in self._resolver.servers(server.destination, choice)
            if not self._cluster.is_peer((found.ip, found.port))
        ]

    def _contacts_at(self, server: TrunkAddress, number: str, choice: int) -> list[Contact]:
        parameters = () if server.transport in (None, "udp") else (("transport", server.transport),)
        host = f"[{server.host}]" if ":" in server.host else server.host
        uri = str(Uri("sip", number, host, server.port, parameters))
        return [
            Contact(uri, flow, f"trunk:{server.trunk_id}", number, host_port(flow.local).rpartition(":")[0], asserted=True)
            for flow in self.flows_to(server, choice)
        ]

    def trunks_at(self, ip: str) -> list[tuple[str, str]]:
        """Trunks that stand at this address, whatever the port."""
        found = [trunk for host in self._resolver.names(ip) for trunk in self._accounts.trunks_of_host(host)]
        return [(trunk.tenant, trunk.trunk_id) for trunk in found]

    def calls_for_help(self, facts: CallFacts) -> bool:
        """Whether a user dialled an emergency number."""
        config = self._accounts.config(facts.tenant)
        countries = countries_of(config, (facts.caller_user_id or "",)) if config is not None else frozenset()
        return facts.direction == "from_user" and is_emergency(facts.dialled, countries)

    def fallback(self, facts: CallFacts) -> tuple[Step | None, int]:
        """What media does alone."""
        config = self._accounts.config(facts.tenant)
        number = self._accounts.caller_number_of(facts.tenant, facts.caller_user_id) if facts.caller_user_id else ""
        return fallback(config, facts, number), config.seq if config else 0

    # -- features ----------------------------------------------------------------------------------------------------

    def taken_slots(self, tenant: str) -> Collection[str]:
        """Slots in which calls are parked."""
        here = {state.phase.slot for state in self._states(tenant) if isinstance(state.phase, Parked)}
        return here | {call.slot for call in self.elsewhere(tenant) if call.slot}

    def talks(self, tenant: str, user_id: str) -> bool:
        """Whether a phone of the user is in a call."""
        here = any(leg.party == user_id and leg.state == "answered" for state in self._states(tenant) for leg in state.legs.values())
        return here or any(user_id in call.answered for call in self.elsewhere(tenant))

    def _states(self, tenant: str) -> Iterator[CallState]:
        return (actor.call.state for actor in self.calls.values() if actor.call.facts.tenant == tenant)

    def door_phone(self, tenant: str, user_id: str) -> DoorPhone | None:
        """How its door is opened."""
        config = self._accounts.config(tenant)
        user = config.users.get(user_id) if config else None
        return user.door_phone if user else None

    def may_pick_up(self, tenant: str, user_id: str, rung_user_id: str) -> bool:
        """Everybody of the tenant, or members of one pickup group."""
        config = self._accounts.config(tenant)
        if config is None:
            return False
        groups = config.pickup_groups.values()
        same = any(user_id in group.user_ids and rung_user_id in group.user_ids for group in groups)
        return config.tenant.pickup_scope == "tenant" or user_id == rung_user_id or same

    def park_digits(self, tenant: str) -> tuple[str, str]:
        """What parks the other side, and what it is then sent to: the code for parking."""
        config = self._accounts.config(tenant)
        if config is None or not config.tenant.park_digits:
            return "", ""
        code = codes_of(config.tenant.feature_codes).get("park", "")
        return (config.tenant.park_digits, code) if code else ("", "")

    def takes_faxes(self, tenant: str, number: str) -> bool:
        """Whether the number has a destination for faxes."""
        config = self._accounts.config(tenant)
        known = config.numbers.get(number) if config is not None else None
        return known is not None and known.fax_destination is not None


def _by_phone(devices: Iterable[Device]) -> Iterable[list[Device]]:
    """The flows of each phone, the one that it refreshed last first; of equals the one that was begun last."""
    found: dict[str, list[Device]] = {}
    for device in devices:
        binding = device.binding
        found.setdefault(binding.instance if binding.reg_id else binding.key, []).insert(0, device)
    return [sorted(flows, key=lambda device: device.known_at, reverse=True) for flows in found.values()]
