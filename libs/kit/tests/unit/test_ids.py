"""Identifiers."""

import time
from uuid import RFC_4122, UUID

import pytest

from carillon_kit.ids import Ids, SequenceIds, SystemIds


@pytest.fixture(params=[SystemIds, SequenceIds])
def ids(request: pytest.FixtureRequest) -> Ids:
    made: Ids = request.param()
    return made


def test_uuids_are_of_version_7_distinct_and_in_order(ids: Ids) -> None:
    made = [ids.uuid7() for _ in range(5000)]
    assert all(one.version == 7 and one.variant == RFC_4122 for one in made)
    assert len(set(made)) == 5000
    assert sorted(made) == made


def test_tokens_are_hex_of_the_length_asked_for(ids: Ids) -> None:
    tokens = {ids.token(12) for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(bytes.fromhex(token)) == 12 for token in tokens)


def test_the_systems_uuids_carry_the_time() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = SystemIds().uuid7().int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_a_sequence_is_repeated_by_its_seed() -> None:
    def take(seed: int) -> list[UUID | str]:
        ids = SequenceIds(seed)
        return [ids.uuid7(), ids.token(), ids.uuid7()]

    assert take(1) == take(1) != take(2)
