"""Number blocks: how many of their numbers are in use."""

from collections.abc import Iterable, Mapping

from carillon_contracts.config import Number, NumberBlock
from carillon_contracts.sorted_map import SortedMap


def in_use(block: NumberBlock, numbers: Mapping[str, Number]) -> int:
    """How many of its numbers go somewhere."""
    entries: Iterable[tuple[str, Number]] = numbers.items_from(block.first) if isinstance(numbers, SortedMap) else sorted(numbers.items())
    found = 0
    for digits, number in entries:
        if digits > block.last:
            break
        if digits >= block.first and len(digits) == len(block.first) and (number.destination is not None or number.number_group_id):
            found += 1
    return found
