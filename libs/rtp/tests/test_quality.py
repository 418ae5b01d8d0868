"""The E-model against values of ITU-T G.107 and G.113."""

from __future__ import annotations

import pytest

from carillon_rtp.quality import mos, mos_of, r_factor


@pytest.mark.parametrize(
    ("r", "expected"), [(-5, 1.0), (0, 1.0), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (93.2, 4.41), (100, 4.5)]
)
def test_r_becomes_mos_as_in_g_107_annex_b(r: float, expected: float) -> None:
    assert mos_of(r) == pytest.approx(expected, abs=0.01)


def test_a_clean_call_of_g711_is_as_good_as_the_scale_goes() -> None:
    assert r_factor("PCMA", 0, 0) == 93.2
    assert mos("PCMA", 0, 0.1, 2.0) >= 4.35


def test_g729_is_eleven_points_worse() -> None:
    assert r_factor("PCMA", 0, 50) - r_factor("g729", 0, 50) == pytest.approx(11)


def test_loss_equal_to_bpl_takes_half_of_what_there_is() -> None:
    assert r_factor("PCMU", 0.251, 0) == pytest.approx(93.2 - 95 / 2)


def test_delay_hurts_more_above_177_ms() -> None:
    assert r_factor("PCMA", 0, 177.3) == pytest.approx(93.2 - 0.024 * 177.3)
    assert r_factor("PCMA", 0, 277.3) == pytest.approx(93.2 - 0.024 * 277.3 - 11)


def test_everything_worse_is_no_better() -> None:
    scores = [
        mos("PCMA", loss, jitter, delay)
        for loss, jitter, delay in ((0, 0, 0), (0.01, 5, 50), (0.05, 20, 200), (0.2, 60, 600), (1, 500, 9e9))
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 1.0
