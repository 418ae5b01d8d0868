"""Which trunks take a number, and in what order: the longest matching prefix first, then the lower priority figure, then the lower price
(one without a price for the number comes last), then the id."""

from collections.abc import Iterator, Mapping, Sequence

from carillon_contracts.config import Trunk
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import TraceLine
from carillon_routing.domain.short_numbers import trunks_to


def candidates(config: TenantConfig, number: str, in_full: str = "") -> list[tuple[Trunk, str]]:
    """Trunks that take the number, best first, each with the prefix that matched (empty: it takes all). Of a number that is not E.164:
    those to an exchange that has it; of a public short number those whose prefixes take it `in_full`."""
    in_full = in_full or number
    if not in_full.startswith("+"):
        return [(trunk, "") for trunk in trunks_to(config, number)]
    found = [(trunk, prefix) for trunk in config.trunks.values() if (prefix := _longest(trunk, in_full)) is not None]
    return sorted(found, key=lambda item: (-len(item[1]), item[0].priority, _cost(price_of(config, item[0], number)), item[0].id))


def price_of(config: TenantConfig, trunk: Trunk, number: str) -> tuple[int, str] | None:
    """What a minute to the number costs by this trunk, in ten-thousandths, and the prefix that says so; None: nobody knows."""
    if not trunk.prices:
        return None
    prices = config.derived("routing trunk prices", Trunk, _prices)[trunk.id]
    beginnings = (number[:length] for length in range(len(number), 0, -1))
    return next(((prices[each], each) for each in beginnings if each in prices), None)


def in_order(config: TenantConfig, found: Sequence[tuple[Trunk, str]], number: str) -> Iterator[TraceLine]:
    """Why the first of the candidates takes the number, and the others come after it."""
    (first, prefix), *others = found
    yield taken(config, first, prefix, number)
    for trunk, other in others:
        yield after(config, first, trunk, other, number)


def taken(config: TenantConfig, trunk: Trunk, prefix: str, number: str) -> TraceLine:
    """The line of the trunk that takes the number."""
    return TraceLine(
        f"trunk/{trunk.id}", True, f"takes {number}: {_standing(config, trunk, prefix, number)}", f"{number} by trunk/{trunk.id}"
    )


def after(config: TenantConfig, chosen: Trunk, trunk: Trunk, prefix: str, number: str) -> TraceLine:
    """The line of one that comes after it."""
    return TraceLine(f"trunk/{trunk.id}", False, f"comes after trunk/{chosen.id} ({_standing(config, trunk, prefix, number)})")


def _standing(config: TenantConfig, trunk: Trunk, prefix: str, number: str) -> str:
    said = f"prefix {prefix or 'any'}, priority {trunk.priority}"
    if (price := price_of(config, trunk, number)) is not None:
        return f"{said}, {price[0] / 10_000:.4f} a minute to {price[1]}"
    return f"{said}, no price" if trunk.prices else said


def for_emergency(config: TenantConfig) -> list[tuple[Trunk, str]]:
    """Every trunk by priority, whatever its prefixes."""
    return [(trunk, "") for trunk in sorted(config.trunks.values(), key=lambda trunk: (trunk.priority, trunk.id))]


def _cost(price: tuple[int, str] | None) -> float:
    return float("inf") if price is None else price[0]


def _prices(trunks: Mapping[str, Trunk]) -> dict[str, dict[str, int]]:
    return {trunk.id: {price.prefix: price.per_minute for price in trunk.prices} for trunk in trunks.values()}


def _longest(trunk: Trunk, number: str) -> str | None:
    if not trunk.prefixes:
        return ""
    return max((prefix for prefix in trunk.prefixes if number.startswith(prefix)), key=len, default=None)
