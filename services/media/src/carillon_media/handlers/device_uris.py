"""GRUUs of the house's phones (RFC 5627): given out when they register, understood when somebody calls one.

Invariant: a temporary GRUU tells nobody whose it is but who holds the installation's key; it ends when its phone registers with another
Call-ID.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.domain.accounts import Accounts, Credential
from carillon_media.handlers.registrar import Device
from carillon_sip.gruu import Gruus, instance_of, public_gruu, temporary_gruu
from carillon_sip.uri import Uri

_LONGEST = 512


class NamedDevice(NamedTuple):
    """The phone that a GRUU names: its user, how that user is dialled, and its `+sip.instance`."""

    user_id: str
    number: str
    instance: str


class DeviceGruus:
    """Makes and reads them. `devices_of`: what a credential has registered now."""

    def __init__(self, key: bytes, accounts: Accounts, devices_of: Callable[[str], Sequence[Device]]) -> None:
        self._sealer = Sealer(key, "temporary GRUUs")
        self._accounts = accounts
        self._devices_of = devices_of

    def of(self, credential: Credential, instance: str, call_id: str, cseq: int) -> Gruus:
        """Both GRUUs of an instance (its URN)."""
        token = self._sealer.seal(f"{cseq} {_short(call_id)} {credential.sip_user} {instance}")
        return Gruus(public_gruu(credential.sip_user, credential.realm, instance), temporary_gruu(token, credential.realm))

    def named(self, tenant: str, request_uri: str) -> NamedDevice | int | None:
        """The phone that a Request-URI names; None: it is no GRUU; 404: there is no such user in this house, or none any more.

        A phone that is known and not there now is named all the same: it is then its user's forwarding that counts. Raises ParseError.
        """
        uri = Uri.parse(request_uri)
        instance = instance_of(uri)
        if instance is None or not self._accounts.is_house_of(tenant, uri.host):
            return None
        sip_user = uri.user
        if not instance:
            opened = self._opened(uri.user)
            if opened is None:
                return 404
            sip_user, instance = opened
        credential = self._accounts.credential(sip_user)
        if credential is None or credential.tenant != tenant:
            return 404
        number = self._accounts.extension_of(tenant, credential.user_id)
        return NamedDevice(credential.user_id, number, f"<{instance}>") if number else 404

    def _opened(self, token: str) -> tuple[str, str] | None:
        if len(token) > _LONGEST:
            return None
        try:
            _, call_id, sip_user, instance = self._sealer.open(token).split(" ")
        except (SealBroken, ValueError):
            return None
        alive = any(
            device.binding.instance == f"<{instance}>" and _short(device.binding.call_id) == call_id
            for device in self._devices_of(sip_user)
        )
        return (sip_user, instance) if alive else None


def _short(call_id: str) -> str:
    return sha256(call_id.encode("utf-8", "surrogateescape")).hexdigest()[:16]
