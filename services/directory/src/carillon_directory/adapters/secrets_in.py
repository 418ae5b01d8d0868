"""Secrets are sealed or hashed at the door: neither a decision, nor the log, nor an event ever sees one.

Invariant: the plain field of a document becomes the kept one (`_DOORS`), sealed so that it opens only for this tenant and resource, or
hashed; what a document says of the kept field itself is dropped. SIP passwords are hashed by the decision, which knows the realm; for the
PINs of conference rooms and mailboxes see `hashed_pins`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from carillon_contracts.config import RESOURCES, TrunkCredential, User
from carillon_directory.adapters import hashed_pins
from carillon_directory.domain.commands import Document, UpdateResource
from carillon_directory.domain.documents import HASHED_SECRETS
from carillon_kit.errors import InvalidArgument
from carillon_kit.ids import Ids
from carillon_kit.pins import PIN_RULE, hash_pin, pin_fits
from carillon_kit.sealing import Sealer

#: Whatever a carrier gives, without control characters.
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")
_SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class _Door:
    """`plain` comes in and `kept` goes on; an update to nothing clears it, or (not `clearable`) keeps the one that is there."""

    plain: str
    kept: str
    fits: Callable[[str], bool]
    rule: str
    clearable: bool


_DOORS: Mapping[str, tuple[_Door, ...]] = {
    TrunkCredential.KIND: (
        _Door(
            "password",
            "sealed_password",
            lambda secret: _PASSWORD.fullmatch(secret) is not None,
            "must be 1 to 128 characters, none of them a control character",
            clearable=False,
        ),
    ),
    User.KIND: tuple(_Door(pin, f"{pin}_hash", pin_fits, f"must be {PIN_RULE}", clearable=True) for pin in ("outbound_pin", "phone_pin")),
}


class SecretsIn:
    """Documents on their way in."""

    def __init__(self, sealer: Sealer, ids: Ids) -> None:
        self._sealer = sealer
        self._ids = ids

    def sealed(self, tenant_id: str, kind: str, document: Document, place: str = "") -> dict[str, JsonValue]:
        """The document with its secret sealed; raises `InvalidArgument`. `place` names it in the error."""
        if kind in HASHED_SECRETS:
            return hashed_pins.hashed(self._sealer, tenant_id, kind, document, place or kind)
        found = dict(document)
        for door in _DOORS.get(kind, ()):
            secret = found.pop(door.plain, None) or ""
            found.pop(door.kept, None)
            if not secret:
                continue
            if not isinstance(secret, str) or not door.fits(secret):
                raise InvalidArgument({f"{place or kind}.{door.plain}": door.rule})
            found[door.kept] = self._kept(kind, secret, tenant_id, str(document.get("id", "")))
        return found

    def sealed_update(self, tenant_id: str, command: UpdateResource) -> UpdateResource:
        """The same with the mask."""
        if secrets := HASHED_SECRETS.get(command.kind):
            document = {**command.document, "id": command.resource_id}
            named = frozenset(command.paths) & secrets.keys()
            document = hashed_pins.hashed(self._sealer, tenant_id, command.kind, document, command.kind, emptied=named)
            return replace(command, document=document, paths=tuple(secrets.get(path, path) for path in command.paths))
        doors = _DOORS.get(command.kind, ())
        if not doors:
            return command
        document = self.sealed(tenant_id, command.kind, {**command.document, "id": command.resource_id})
        paths = [path for path in command.paths if not any(path in (door.plain, door.kept) for door in doors)]
        for door in doors:
            if door.kept in document:
                paths.append(door.kept)
            elif door.clearable and door.plain in command.paths:
                document[door.kept] = ""
                paths.append(door.kept)
        return replace(command, document=document, paths=tuple(paths))

    def sealed_all(self, tenant_id: str, documents: Mapping[str, Sequence[Document]]) -> dict[str, list[dict[str, JsonValue]]]:
        """A whole company's."""
        return {
            kind: [self.sealed(tenant_id, kind, each, f"{RESOURCES[kind].PLURAL}[{index}]") for index, each in enumerate(listed)]
            for kind, listed in documents.items()
        }

    def _kept(self, kind: str, secret: str, tenant_id: str, resource_id: str) -> str:
        if kind == TrunkCredential.KIND:
            return self._sealer.seal(secret, tenant_id, resource_id)
        return hash_pin(secret, self._ids.token(_SALT_BYTES))
