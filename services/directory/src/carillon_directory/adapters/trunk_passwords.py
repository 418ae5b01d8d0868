"""Passwords for carriers are sealed at the door: neither a decision, nor the log, nor an event ever sees one. A conference room's PINs
pass here too, see `conference_pins`.

Invariant: `password` of a trunk credential's document becomes `sealed_password`, which opens only for this tenant and credential; what a
document says of `sealed_password` itself is dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from carillon_contracts.config import ConferenceRoom, TrunkCredential
from carillon_directory.adapters import conference_pins
from carillon_directory.domain.commands import Document, UpdateResource
from carillon_directory.domain.documents import CONFERENCE_SECRETS
from carillon_kit.errors import InvalidArgument
from carillon_kit.sealing import Sealer

#: Whatever a carrier gives, without control characters.
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")
_PLAIN, _SEALED = "password", "sealed_password"


class TrunkPasswords:
    """Documents on their way in."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def sealed(self, tenant_id: str, kind: str, document: Document, place: str = TrunkCredential.KIND) -> dict[str, JsonValue]:
        """The document with its password sealed; raises `InvalidArgument`. `place` names it in the error."""
        if kind == ConferenceRoom.KIND:
            return conference_pins.hashed(self._sealer, tenant_id, document, kind)
        if kind != TrunkCredential.KIND:
            return dict(document)
        found = {name: value for name, value in document.items() if name not in (_PLAIN, _SEALED)}
        password = document.get(_PLAIN) or ""
        if not password:
            return found
        if not isinstance(password, str) or not _PASSWORD.fullmatch(password):
            raise InvalidArgument({f"{place}.{_PLAIN}": "must be 1 to 128 characters, none of them a control character"})
        return found | {_SEALED: self._sealer.seal(password, tenant_id, str(document.get("id", "")))}

    def sealed_update(self, tenant_id: str, command: UpdateResource) -> UpdateResource:
        """The same with the mask: without a new password the one that is there stays."""
        if command.kind == ConferenceRoom.KIND:
            document = {**command.document, "id": command.resource_id}
            named = frozenset(command.paths) & CONFERENCE_SECRETS.keys()
            document = conference_pins.hashed(self._sealer, tenant_id, document, command.kind, emptied=named)
            return replace(command, document=document, paths=tuple(CONFERENCE_SECRETS.get(path, path) for path in command.paths))
        if command.kind != TrunkCredential.KIND:
            return command
        document = self.sealed(tenant_id, command.kind, {**command.document, "id": command.resource_id})
        paths = [path for path in command.paths if path != _PLAIN] + ([_SEALED] if _SEALED in document else [])
        return replace(command, document=document, paths=tuple(paths))

    def sealed_all(self, tenant_id: str, documents: Mapping[str, Sequence[Document]]) -> dict[str, list[dict[str, JsonValue]]]:
        """A whole company's."""
        return {
            kind: [self.sealed(tenant_id, kind, each, f"{TrunkCredential.PLURAL}[{index}]") for index, each in enumerate(listed)]
            for kind, listed in documents.items()
        }
