"""G.711 as the recommendation has it: its decision values, its output values, its conversion tables."""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from itertools import pairwise

import pytest

from carillon_rtp._core import lib

CODES = range(256)
SAMPLES = range(-32768, 32768)


def segments(start: list[int], step: int, counts: list[int]) -> list[int]:
    """Decision values: `start`, then segments of so many intervals, each with twice the step of the one before."""
    values = list(start)
    for count in counts:
        for _ in range(count):
            values.append(values[-1] + step)
        step *= 2
    return values


#: Tables 1a and 2a: decision values of the positive half, in units of 1/4096 and 1/8159, scaled to 16 bits.
ALAW = [8 * value for value in segments([0], 2, [32, 16, 16, 16, 16, 16, 16])]
ULAW = [4 * value for value in segments([0, 1], 2, [15, 16, 16, 16, 16, 16, 16, 16])]


def interval(sample: int, decisions: list[int]) -> int:
    """The quantising interval of a sample; the negative half mirrors the positive one."""
    magnitude = sample if sample >= 0 else ~sample
    return min(bisect_right(decisions, magnitude) - 1, 127)


def alaw(sample: int) -> int:
    """Table 1a: 128 + interval for positive samples, even bits inverted."""
    return (interval(sample, ALAW) | (0x80 if sample >= 0 else 0)) ^ 0x55


def ulaw(sample: int) -> int:
    """Table 2a: all bits inverted, 0x80 is the sign of positive samples."""
    return 0xFF - interval(sample, ULAW) - (0 if sample >= 0 else 0x80)


@pytest.mark.feature("M-7")
def test_the_reference_has_the_recommendations_decision_values() -> None:
    assert (ALAW[32] // 8, ALAW[-1] // 8, len(ALAW)) == (64, 4096, 129)
    assert (ULAW[1] // 4, ULAW[16] // 4, ULAW[32] // 4, ULAW[-1] // 4, len(ULAW)) == (1, 31, 95, 8159, 129)


@pytest.mark.feature("M-7")
def test_every_linear_value_is_coded_as_the_recommendation_says() -> None:
    assert [s for s in SAMPLES if lib.g711_alaw_encode(s) != alaw(s)] == []
    assert [s for s in SAMPLES if lib.g711_ulaw_encode(s) != ulaw(s)] == []


@pytest.mark.feature("M-7")
def test_every_code_decodes_to_the_middle_of_its_interval() -> None:
    for decode, encode, decisions, zero in (
        (lib.g711_alaw_decode, alaw, ALAW, 0),
        (lib.g711_ulaw_decode, ulaw, ULAW, 1),  # mu-law's first interval stands for 0
    ):
        values = {encode(low): (low + high) // 2 for low, high in list(pairwise(decisions))[zero:]}
        if zero:
            values[0xFF] = 0
        assert len(values) == 128
        assert {code: decode(code) for code in values} == values
        assert all(decode(code ^ 0x80) == -value for code, value in values.items())


@pytest.mark.feature("M-7")
def test_conversion_keeps_sign_and_order_and_is_as_near_as_the_tables_allow() -> None:
    for convert, source, target in (
        (lib.g711_alaw_to_ulaw, lib.g711_alaw_decode, lib.g711_ulaw_decode),
        (lib.g711_ulaw_to_alaw, lib.g711_ulaw_decode, lib.g711_alaw_decode),
    ):
        pairs = sorted((source(code), target(convert(code))) for code in CODES)
        assert all(before[1] <= after[1] for before, after in pairwise(pairs))
        assert all(abs(heard - meant) <= max(16, abs(meant) // 24) for meant, heard in pairs)


#: Rows of tables 3 and 4 of the recommendation at their irregular places: mu-law value number -> A-law value number, and back.
TABLE_3 = {
    0: 1,
    1: 1,
    15: 8,
    16: 9,
    31: 24,
    32: 25,
    33: 27,
    35: 31,
    36: 33,
    47: 44,
    48: 46,
    49: 48,
    63: 62,
    64: 64,
    79: 79,
    80: 80,
    81: 82,
    127: 128,
}
TABLE_4 = {
    1: 1,
    2: 3,
    8: 15,
    9: 16,
    25: 32,
    26: 32,
    27: 33,
    32: 35,
    33: 36,
    45: 48,
    46: 48,
    47: 49,
    48: 49,
    63: 64,
    64: 64,
    79: 79,
    80: 80,
    81: 80,
    128: 127,
}


@pytest.mark.feature("M-7")
def test_conversion_has_the_rows_of_tables_3_and_4() -> None:
    assert {n: (lib.g711_ulaw_to_alaw(0xFF - n) ^ 0xD5) + 1 for n in TABLE_3} == TABLE_3
    assert {n: 0xFF - lib.g711_alaw_to_ulaw((n - 1) ^ 0xD5) for n in TABLE_4} == TABLE_4


@pytest.mark.feature("M-7")
def test_conversion_agrees_with_an_independent_library() -> None:
    try:
        spandsp = ctypes.CDLL("libspandsp.so.2")
    except OSError:
        pytest.skip("libspandsp is not installed")
    assert [c for c in CODES if spandsp.alaw_to_ulaw(c) & 255 != lib.g711_alaw_to_ulaw(c)] == []
    assert [c for c in CODES if spandsp.ulaw_to_alaw(c) & 255 != lib.g711_ulaw_to_alaw(c)] == []
