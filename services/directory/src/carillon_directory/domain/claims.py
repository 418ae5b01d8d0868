"""What may stand once in the whole installation: a realm, a SIP user name, a number, a MAC address.

A claim is taken and released by the very change that makes and removes its resource.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from carillon_contracts.config import ConfigChanged, Device, Number, SipCredential, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.outcomes import Violation
from carillon_directory.domain.texts import text_error

#: Kind of resource -> its field that is claimed. The field's name in errors is the same.
CLAIMED: Mapping[str, str] = {Tenant.KIND: "realm", SipCredential.KIND: "id", Number.KIND: "id", Device.KIND: "mac"}
_NONE: "frozenset[Claim]" = frozenset()


class Claim(NamedTuple):
    """A value that one tenant holds; `kind` is the kind of the resource that claims it."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class ClaimChanges:
    """What a set of changes releases and takes, with what is only moved about left out."""

    released: frozenset[Claim]
    taken: frozenset[Claim]


def claims_of(kind: str, document: Mapping[str, Any] | None) -> frozenset[Claim]:
    """The claim of one resource, as a document or dump; none if its kind claims nothing or the value is not text."""
    name = CLAIMED.get(kind)
    if name is None or document is None:
        return _NONE
    value = document.get(name)
    return frozenset({Claim(kind, value)}) if isinstance(value, str) and value and not text_error(value) else _NONE


def device_with(config: TenantConfig, mac: str) -> Device | None:
    """The device that claims a MAC address; of several the first."""
    return config.derived("devices by mac", Device, _by_mac).get(mac)


def _by_mac(devices: Mapping[str, Device]) -> dict[str, Device]:
    return {each.mac: each for each in reversed(tuple(devices.values())) if each.mac}


def claim_changes(changes: Iterable[ConfigChanged]) -> ClaimChanges:
    """The claims before all of the changes against those after."""
    before: set[Claim] = set()
    after: set[Claim] = set()
    for change in changes:
        if change.resource not in CLAIMED:
            continue
        gone, come = claims_of(change.resource, change.before), claims_of(change.resource, change.after)
        before |= gone - after
        after -= gone
        after |= come
    return ClaimChanges(released=frozenset(before - after), taken=frozenset(after - before))


def taken_violations(claims: Set[Claim], taken: Set[Claim]) -> list[Violation]:
    """A violation for each of the claims that another tenant holds."""
    return [Violation(CLAIMED[claim.kind], f"{claim.value} is in use already in this installation") for claim in sorted(claims & taken)]
