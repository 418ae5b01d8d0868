"""Taking a person out of a tenant, in two steps.

`erase` makes ordinary changes, which every follower of the log carries out: what is the person's goes, others part with it. When they are
published, `Rewriting` says how the log reads from then on.

Always: the rewritten log folds to the configuration that the changes made; no document of it that was the person's own tells who they were;
the person's words stand nowhere in it but where a remark says so.
"""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from carillon_contracts.config import RESOURCES, ConfigChanged, Extension, Mailbox, Resource, User
from carillon_contracts.erasure import ERASED_EMAIL, Cleaner, PersonErasureOrdered
from carillon_directory.domain.commands import ErasePerson
from carillon_directory.domain.conclude import Piece, State, conclude
from carillon_directory.domain.documents import dump
from carillon_directory.domain.erasing.husks import PERSONAL, husk
from carillon_directory.domain.erasing.parting import leads_to, parted, refers
from carillon_directory.domain.erasing.theirs import Key, Log, Theirs, objects, theirs, whose, words
from carillon_directory.domain.outcomes import Accepted, Forbidden, Missing, Refused
from carillon_directory.domain.references import everything

#: Resource and action of the change that says so.
PERSON, ERASURE = "person", "erased"


@dataclass(frozen=True, slots=True)
class Erasing:
    """`own`: (kind, id) of what was ever the person's; `remarks`: (subject, text) of words that stay."""

    changes: tuple[ConfigChanged, ...]
    order: PersonErasureOrdered = field(repr=False)
    own: frozenset[Key] = field(repr=False)
    remarks: tuple[tuple[str, str], ...] = ()


def erase(state: State, log: Log, command: ErasePerson) -> Erasing | Refused:
    """`log`: every change of the tenant, in order."""
    user = state.config.users.get(command.user_id)
    if user is None:
        return Missing(User.KIND, command.user_id)
    if command.bounds.visiting and user.role != "user":
        return Forbidden(f"user {user.id!r} administers: a reseller that entered takes that away first, of which the tenant is told")
    found = theirs(state.config, state.index, log, command.user_id)
    spoken = words(state.config, log, command.user_id, command.pseudonym, found)
    order = PersonErasureOrdered(
        erasure_id=command.erasure_id,
        ids=spoken.ids,
        user_ids=spoken.user_ids,
        texts=spoken.texts,
        user_id=command.user_id,
        pseudonym=command.pseudonym,
        sip_users=tuple(sorted(name for kind, name in found.ever if kind == "sip_credential")),
        mailbox_ids=tuple(sorted(name for kind, name in found.ever if kind == Mailbox.KIND)),
        objects=objects(log, found),
        recordings=command.recordings,
    )
    decision = conclude(state, command, _pieces(state, found, Rewriting(order, found.ever)))
    if not isinstance(decision, Accepted):
        return decision
    return Erasing(decision.changes, order, found.ever, tuple(spoken.remarks))


def told(order: PersonErasureOrdered, actor: str, reason: str) -> ConfigChanged:
    """The change that says so, and after which the log reads otherwise."""
    cleaner = Cleaner(order)
    return ConfigChanged(
        resource=PERSON, resource_id=order.pseudonym, action=ERASURE, actor=cleaner.text(actor), reason=cleaner.text(reason)
    )


def _pieces(state: State, found: Theirs, rewriting: "Rewriting") -> list[Piece]:
    """What is the person's goes; others part with it, and say nothing of them any more."""
    config = state.config
    gone = {*found.now, *((Extension.KIND, each.id) for each in config.extensions.values() if leads_to(each, found.now))}
    pieces = [Piece(each.KIND, each, None) for each in everything(config) if (each.KIND, each.id) in gone]
    for resource in everything(config):
        if (resource.KIND, resource.id) not in gone:
            left = parted(resource, gone)
            # What still leads to them holds them, and is told.
            if not refers(left, gone) and (after := rewriting.cleaned(left)) != resource:
                pieces.append(Piece(resource.KIND, resource, after))
    return pieces


class Rewriting:
    """How a change of the log reads from now on."""

    def __init__(self, order: PersonErasureOrdered, own: Set[Key]) -> None:
        self._order = order
        self._own = own
        self._cleaner = Cleaner(order)

    def cleaned(self, resource: Resource) -> Resource:
        """A resource of others."""
        document = dump(resource)
        fitting = self._fitting(resource.KIND, document)
        return resource if fitting is document else type(resource).model_validate(fitting)

    def change(self, change: ConfigChanged) -> ConfigChanged:
        """Twice is as once."""
        kind = change.resource
        return change.model_copy(
            update={
                "resource_id": self._id(kind, change.resource_id),
                "before": self._document(kind, change.resource_id, change.before),
                "after": self._document(kind, change.resource_id, change.after),
                "actor": self._cleaner.text(change.actor),
                "reason": self._cleaner.text(change.reason),
            }
        )

    def _id(self, kind: str, name: str) -> str:
        if kind == User.KIND and name == self._order.user_id:
            return self._order.pseudonym
        return self._order.ids.get(name, name)

    def _document(self, kind: str, name: str, document: dict[str, Any] | None) -> dict[str, Any] | None:
        if document is None:
            return None
        own = (kind, name) in self._own or (kind in PERSONAL and whose(kind, document) == self._order.user_id)
        if own:
            document = husk(kind, document)
            return self._cleaner.value(document) | {"id": self._id(kind, name)}  # type: ignore[no-any-return]
        return self._fitting(kind, document)

    def _fitting(self, kind: str, document: dict[str, Any]) -> dict[str, Any]:
        """Cleaned, and such that it is still a resource: a field that could not stand so goes back to its default.

        The very same document where there is nothing to clean.
        """
        after: dict[str, Any] = {name: _without_address(self._cleaner.value(value, name)) for name, value in document.items()}
        if after == document:
            return document
        model = RESOURCES.get(kind)
        if model is None:
            return after
        try:
            model.model_validate(after)
        except ValidationError as error:
            for name in {str(each["loc"][0]) for each in error.errors() if each["loc"]}:
                if after.get(name) != document.get(name):
                    after.pop(name, None)
            model.model_validate(after)
        return after


def _without_address(value: Any) -> Any:
    """Lists of addresses lose the person's."""
    return [each for each in value if each != ERASED_EMAIL] if isinstance(value, list) else value
