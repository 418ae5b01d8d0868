import gc

import pytest

from carillon_kit.heap import growing


def test_the_collector_rests_until_the_last_is_done_and_passes_over_what_was_made() -> None:
    frozen = gc.get_freeze_count()
    try:
        with growing():
            made = [[number] for number in range(1000)]
            with growing():
                assert not gc.isenabled()
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen + len(made)
    finally:
        gc.unfreeze()


def test_it_works_again_after_a_failure() -> None:
    with pytest.raises(ValueError, match="x"), growing():
        raise ValueError("x")
    assert gc.isenabled()
    gc.unfreeze()
