"""How many processes compare a draft."""

import pytest

from carillon_routing.adapters.comparers import processes_for

pytestmark = pytest.mark.feature("R-21")


@pytest.mark.parametrize(
    ("calls", "most", "cores", "processes"),
    [(0, 0, 8, 1), (3_999, 0, 8, 1), (4_000, 0, 8, 2), (100_000, 0, 2, 2), (1_000_000, 0, 64, 4), (1_000_000, 6, 2, 6)],
)
def test_a_machine_of_many_cores_does_not_fill_its_memory_with_configurations(calls: int, most: int, cores: int, processes: int) -> None:
    assert processes_for(calls, most, cores) == processes
