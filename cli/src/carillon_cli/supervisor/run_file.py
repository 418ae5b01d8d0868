"""`run.json`: every address, port and sample credential of the running system, for people, tests and other programs. Pure.

Always: version 1 keeps the meaning of its keys; what is not known (the password of a device that someone else made) is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carillon_cli.supervisor.layout import GRPC_SERVICES, Options
from carillon_cli.supervisor.nats_users import tenant_user
from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig

VERSION = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the supervisor knows when it writes the file."""

    options: Options
    nats_url: str
    nats_host: str
    postgres_dsn: str
    admin_token: str
    maildir: Path
    clock: Path | None
    processes: Mapping[str, int]
    tenants: Mapping[str, TenantConfig]
    #: SIP user -> password, as far as they were made here.
    sip_passwords: Mapping[str, str]
    #: Tenant -> password of its NATS user; empty with a NATS of others.
    nats_passwords: Mapping[str, str]


def run_file(facts: Facts) -> dict[str, Any]:
    """The content of the file."""
    options = facts.options
    content: dict[str, Any] = {
        "version": VERSION,
        "sip": sip_entry(options),
        "grpc": {service: f"127.0.0.1:{options.ports.grpc(service)}" for service in GRPC_SERVICES},
        "provisioning": {"url": f"http://{at(options.advertise, options.ports.provisioning)}"},
        "web": {"url": f"http://127.0.0.1:{options.ports.web}"},
        "nats": {"url": facts.nats_url},
        "postgres": {"dsn": facts.postgres_dsn},
        "mail": {"maildir": str(facts.maildir)},
        "admin_token": facts.admin_token,
        "processes": dict(facts.processes),
        "tenants": {tenant: tenant_entry(config, facts) for tenant, config in sorted(facts.tenants.items())},
    }
    if facts.clock is not None:
        content["test_clock"] = str(facts.clock)
    return content


def sip_entry(options: Options) -> dict[str, Any]:
    """Where phones find us; `tls_certificate` is what a phone must trust when the certificate is self-signed."""
    sip, sip6 = at(options.advertise, options.ports.sip), at(options.host6, options.ports.sip)
    entry = {"udp": sip, "tcp": sip}
    if options.tls is not None:
        entry |= {"tls": at(options.advertise, options.ports.sip_tls), "tls_certificate": str(options.tls.certificate)}
    if options.host6:
        entry |= {"udp6": sip6, "tcp6": sip6}
        if options.tls is not None:
            entry["tls6"] = at(options.host6, options.ports.sip_tls)
    return entry


def at(host: str, port: int) -> str:
    """host:port, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tenant_entry(config: TenantConfig, facts: Facts) -> dict[str, Any]:
    """One tenant of the file."""
    devices, numbers = _devices(config), _numbers(config)
    entry: dict[str, Any] = {
        "realm": config.tenant.realm,
        "users": [
            user_entry(config, user, devices.get(user.id, ""), numbers.get(user.id, []), facts.sip_passwords)
            for user in config.users.values()
        ],
        "numbers": {number.label or number.id: number.id for number in config.numbers.values()},
        "trunks": [{"name": trunk.id, "address": trunk.address} for trunk in config.trunks.values()],
    }
    if (password := facts.nats_passwords.get(config.tenant_id)) is not None:
        name = tenant_user(config.tenant_id)
        entry["nats"] = {"url": f"nats://{name}:{password}@{facts.nats_host}", "user": name, "password": password}
    return entry


def user_entry(config: TenantConfig, user: User, device: str, numbers: list[str], passwords: Mapping[str, str]) -> dict[str, Any]:
    """One user: the first device (empty: none), with its password where it is known."""
    entry: dict[str, Any] = {"id": user.id, "name": user.full_name, "extension": config.extension_of(user.id)}
    if device:
        entry["sip_user"] = device
        if device in passwords:
            entry["sip_password"] = passwords[device]
    entry["numbers"] = numbers
    return entry


def _devices(config: TenantConfig) -> dict[str, str]:
    """Each user's first device."""
    found: dict[str, str] = {}
    for each in config.sip_credentials.values():
        found[each.user_id] = min(each.id, found.get(each.user_id, each.id))
    return found


def _numbers(config: TenantConfig) -> dict[str, list[str]]:
    """The numbers that lead to each user."""
    found: dict[str, list[str]] = {}
    for each in config.numbers.values():
        if each.destination is not None and each.destination.user_id is not None:
            found.setdefault(each.destination.user_id, []).append(each.id)
    return found
