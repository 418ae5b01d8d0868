"""Number blocks: which of their numbers are in use, and how many."""

from collections.abc import Iterable, Iterator, Mapping

from carillon_contracts.config import Number, NumberBlock
from carillon_contracts.sorted_map import SortedMap


def numbers_of(
    block: NumberBlock, numbers: Mapping[str, Number], used: bool | None = None, after: str = ""
) -> Iterator[tuple[str, Number | None]]:
    """Each number of the block after the one named, with what is kept of it, if anything is.

    `used`: those alone that go somewhere or (False) do not."""
    first = max(int(block.first), int(after) + 1 if after else 0)
    for value in range(first, int(block.last) + 1):
        number = numbers.get(f"+{value}")
        if used is None or used == is_used(number):
            yield f"+{value}", number


def is_used(number: Number | None) -> bool:
    """Whether calls of it go somewhere."""
    return number is not None and (number.destination is not None or bool(number.number_group_id))


def in_use(block: NumberBlock, numbers: Mapping[str, Number]) -> int:
    """How many of its numbers go somewhere."""
    entries: Iterable[tuple[str, Number]] = numbers.items_from(block.first) if isinstance(numbers, SortedMap) else sorted(numbers.items())
    found = 0
    for digits, number in entries:
        if digits > block.last:
            break
        if digits >= block.first and len(digits) == len(block.first) and is_used(number):
            found += 1
    return found
