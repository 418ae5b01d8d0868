"""Short codes by the range: given to numbers in one step, and moved between departments."""

from itertools import count

from carillon_contracts.config import ShortCode
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import documents
from carillon_directory.domain.commands import AssignShortCodes, MoveShortCodes
from carillon_directory.domain.conclude import Piece, State, conclude
from carillon_directory.domain.documents import Secret
from carillon_directory.domain.outcomes import Decision, Exists, Invalid, Violation, under


def assign(state: State, command: AssignShortCodes) -> Decision:
    """One after another without a gap; a code that is taken refuses all, by the entry that would have had it."""
    first, width = command.first, len(command.first)
    if not (first.isascii() and first.isdigit() and width <= 6):
        return Invalid((Violation("first", "must be 1 to 6 digits"),))
    if int(first) + len(command.entries) > 10**width:
        return Invalid((Violation("first", f"there are no {len(command.entries)} codes of {width} digits from {first} on"),))
    pieces: list[Piece] = []
    wrong: list[Violation] = []
    for index, (number, label) in enumerate(command.entries):
        code, place = f"{int(first) + index:0{width}}", f"entries[{index}]"
        name = _free(state.config, command.department_id, code)
        document = {"id": name, "department_id": command.department_id, "code": code, "number": number, "label": label}
        if not name:
            return Exists(ShortCode.KIND, f"{command.department_id}-{code}" if command.department_id else code)
        parsed = documents.parse(ShortCode.KIND, document, None, Secret("", ""))
        wrong += (under(place, each) for each in parsed.violations)
        if parsed.resource is not None:
            pieces.append(Piece(place, None, parsed.resource))
    return Invalid(tuple(wrong)) if wrong else conclude(state, command, pieces)


def move(state: State, command: MoveShortCodes) -> Decision:
    """All of the range that the one department has."""
    first, last = command.first, command.last
    if len(first) != len(last) or not (first + last).isdecimal() or first > last:
        return Invalid((Violation("last", "must have as many digits as first and not come before it"),))
    found = [
        each
        for each in state.config.all(ShortCode).values()
        if each.department_id == command.from_department_id and len(each.code) == len(first) and first <= each.code <= last
    ]
    if not found:
        whose = f"department {command.from_department_id!r} has" if command.from_department_id else "the tenant as a whole has"
        return Invalid((Violation("first", f"{whose} no short code from {first} to {last}"),))
    moved = [Piece(f"short_code {each.id!r}", each, each.model_copy(update={"department_id": command.department_id})) for each in found]
    return conclude(state, command, moved)


def _free(config: TenantConfig, department_id: str, code: str) -> str:
    """An id for the department's code, though one that moved elsewhere kept its own; empty: the department has the code already."""
    name = first = f"{department_id}-{code}" if department_id else code
    for number in count(2):
        held = config.get(ShortCode, name)
        if held is None:
            return name
        if (held.department_id, held.code) == (department_id, code):
            return ""
        name = f"{first}-{number}"
    raise AssertionError("ids do not end")
