"""Short numbers follow what their number leads to: made, led elsewhere and taken away with it, whatever changes the number.

Always: digits that are dialled for something else already are told and not made; what the same command says of an extension counts.
"""

from collections.abc import Callable, Iterator, Sequence

from carillon_contracts.config import Contact, Destination, Extension, ExtensionRange, Number, Resource, ShortNumberRule
from carillon_contracts.emergency_numbers import countries_in, is_emergency
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import documents
from carillon_directory.domain.commands import Document
from carillon_directory.domain.conclude import Key, Piece, State
from carillon_directory.domain.references import exists, references

#: (subject, why nothing was made).
Remarks = list[tuple[str, str]]


def short_numbers(config: TenantConfig, number: str) -> list[str]:
    """Those that the tenant's rule makes of a number: prefix and last digits."""
    rule = _rule(config)
    return [] if rule.off else [rule.prefix + number[-length:] for length in rule.used_lengths]


def _rule(config: TenantConfig) -> ShortNumberRule:
    return config.get(ShortNumberRule, "default") or ShortNumberRule(id="default")


def following(state: State, pieces: Sequence[Piece], remarks: Remarks) -> list[Piece]:
    """What else changes with these: short numbers of numbers that lead elsewhere now, that are new or that go."""
    numbers = [each for each in pieces if each.key[0] == Number.KIND and _leads_elsewhere(each)]
    if not numbers:
        return []
    gone = [each.key for each in pieces if each.after is None]
    config = documents.put(state.config, [each.after for each in pieces if each.after is not None], gone)
    index = state.index.changed([(each.before, each.after) for each in pieces])
    said: set[Key] = {each.key for each in pieces}
    numbers = [each for each in numbers if each.after is None or not _dangles(config, each.after)]
    found: list[Piece] = []
    for piece in numbers:
        made = list(_renewed(State(config, index), piece.key[1], piece.after, said, remarks))
        said |= {each.key for each in made}
        found += made
    return found


def _leads_elsewhere(piece: Piece) -> bool:
    before, after = (each.destination if isinstance(each, Number) else None for each in (piece.before, piece.after))
    return before != after


def with_short_number(state: State, document: Document, kind: str, earlier: Callable[[str], bool], remarks: Remarks) -> Document:
    """A new contact of the company gets a short number of its phone, by the rule's other prefix; if all are taken, that is told.

    `earlier`: whether digits are given by the same command already."""
    if kind != Contact.KIND or document.get("owner_user_id") or document.get("short_number"):
        return document
    found: Remarks = []
    for digits in contact_numbers(state.config, str(document.get("phone") or document.get("mobile") or "")):
        reason = "is given in the same request already" if earlier(digits) else _not_for_contacts(state, digits)
        if not reason:
            return {**document, "short_number": digits}
        found.append((f"{Extension.KIND}/{digits}", f"not made: {digits} {reason}"))
    remarks += found
    return document


def contact_numbers(config: TenantConfig, number: str) -> list[str]:
    """Those that a new contact of the company may have, by its number (E.164; empty: none)."""
    rule = _rule(config)
    return [] if rule.off or not number else [rule.contact_prefix + number[-length:] for length in rule.used_lengths]


def _not_for_contacts(state: State, digits: str) -> str:
    ranges = state.config.all(ExtensionRange).values()
    if kept := next((each.id for each in ranges if len(digits) == len(each.first) and each.first <= digits <= each.last), ""):
        return f"is of extension range {kept!r}"
    return why_taken(state, digits)


def _dangles(config: TenantConfig, number: Resource) -> bool:
    """What is refused anyway needs no short number."""
    return not all(exists(config, each.kind, each.resource_id) for each in references(number))


def _renewed(state: State, number_id: str, number: object, said: set[Key], remarks: Remarks) -> Iterator[Piece]:
    destination = number.destination if isinstance(number, Number) else None
    wanted = set(short_numbers(state.config, number_id)) if destination is not None else set()
    for kind, digits in state.index.referring(Number.KIND, number_id):
        extension = state.config.extensions.get(digits) if kind == Extension.KIND else None
        if extension is not None and extension.number_id == number_id and digits not in wanted and (kind, digits) not in said:
            yield Piece("", extension, None)
    if not isinstance(number, Number) or destination is None:
        return
    for digits in sorted(wanted):
        current = state.config.extensions.get(digits)
        if reason := _taken(state, digits, current, number_id, (Extension.KIND, digits) in said):
            remarks.append((f"{Extension.KIND}/{digits}", f"not made: {digits} {reason}"))
        else:
            yield Piece("", current, _short(digits, destination, number, current))


def why_taken(state: State, digits: str) -> str:
    """Why nothing new can have the digits; empty: they are free."""
    return _taken(state, digits, None, "", digits in state.config.extensions)


def _taken(state: State, digits: str, current: Extension | None, number_id: str, said: bool) -> str:
    for kind, resource_id in state.index.takers("digits", digits):
        if (kind, resource_id) != (Extension.KIND, digits):
            return f"is taken by {kind} {resource_id!r}"
    if said or (current is not None and current.number_id != number_id):
        return f"is taken by {Extension.KIND} {digits!r}"
    if is_emergency(digits, countries_in(state.config)):
        return "is an emergency number"
    lot = next((lot.id for lot in state.config.parking_lots.values() if lot.holds(digits)), "")
    return f"is a slot of parking lot {lot!r}" if lot else ""


def _short(digits: str, destination: Destination, number: Number, current: Extension | None) -> Extension:
    etag = current.etag if current is not None else ""
    return Extension(id=digits, etag=etag, department_id=number.department_id, destination=destination, number_id=number.id)
