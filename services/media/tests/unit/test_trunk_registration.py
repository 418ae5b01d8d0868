"""When a carrier is asked to register us, and what its answers mean."""

import pytest

from carillon_media.domain.trunk_registration import REFUSED_LONGEST, SILENT_LONGEST, Registration, aged, granted, refused, silent

pytestmark = pytest.mark.feature("M-2")
NEW = Registration()


@pytest.mark.parametrize(("seconds", "refresh"), [(3600, 3540), (600, 540), (100, 50), (60, 30), (1, 0.5)])
def test_a_binding_is_refreshed_before_it_expires(seconds: float, refresh: float) -> None:
    done = granted(NEW, seconds, 1000.0)
    assert (done.state, done.next_at, done.expires_at) == ("registered", 1000.0 + refresh, 1000.0 + seconds)


def test_silence_is_met_with_growing_delays_up_to_a_longest() -> None:
    registration, waits = NEW, []
    for _ in range(12):
        registration = silent(registration, 0.0, share=1.0)
        waits.append(registration.next_at)
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == SILENT_LONGEST
    assert registration.state == "failed"


def test_a_refusal_is_met_with_more_patience_than_silence() -> None:
    registration, waits = NEW, []
    for _ in range(12):
        registration = refused(registration, 403, "Forbidden", 0.0, share=1.0)
        waits.append(registration.next_at)
    assert waits[:3] == [30, 60, 120]
    assert waits[-1] == REFUSED_LONGEST


def test_attempts_of_many_trunks_are_spread_over_half_the_delay() -> None:
    assert [silent(NEW, 0.0, share=share).next_at for share in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]


def test_while_the_binding_lives_a_failed_refresh_changes_nothing_for_calls() -> None:
    late = silent(granted(NEW, 600, 0.0), 540.0, share=1.0)
    assert (late.state, late.next_at) == ("registered", 542.0)
    assert aged(late, 599.9).state == "registered"
    assert (aged(late, 600.0).state, aged(late, 600.0).reason) == ("failed", "no answer")


@pytest.mark.parametrize(("status", "state"), [(403, "failed"), (401, "failed"), (503, "registered"), (500, "registered")])
def test_a_carrier_that_says_no_has_no_binding_one_that_is_busy_has(status: int, state: str) -> None:
    assert refused(granted(NEW, 600, 0.0), status, "x", 540.0, share=0.0).state == state


def test_retry_after_is_obeyed() -> None:
    assert refused(NEW, 503, "x", 10.0, share=1.0, retry_after=77).next_at == 87.0
    assert refused(NEW, 503, "x", 10.0, share=1.0, retry_after=999_999_999).next_at == 10.0 + REFUSED_LONGEST


def test_a_longer_interval_is_asked_for_at_once_but_only_once() -> None:
    first = refused(NEW, 423, "Interval Too Brief", 10.0, share=0.0, min_expires=900)
    assert (first.next_at, first.at_least, first.state) == (10.0, 900, "registering")
    again = refused(first, 423, "Interval Too Brief", 10.0, share=0.0, min_expires=900)
    assert (again.state, again.next_at > 10.0) == ("failed", True)
    assert granted(first, 900, 10.0).at_least == 900


def test_success_forgets_failures() -> None:
    assert granted(silent(silent(NEW, 0.0, share=0.0), 0.0, share=0.0), 600, 5.0).failures == 0
