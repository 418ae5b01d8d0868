"""PINs and their hashes."""

import pytest

from carillon_kit.pins import hash_pin, pin_fits, verify_pin


def test_a_pin_is_known_by_its_hash_alone() -> None:
    kept = hash_pin("4711", "salt")
    assert "4711" not in kept
    assert verify_pin("4711", kept)
    assert not verify_pin("4712", kept)


def test_the_same_pin_is_kept_differently_for_each_salt() -> None:
    assert hash_pin("4711", "a") != hash_pin("4711", "b")


@pytest.mark.parametrize("kept", ["", "scrypt", "scrypt$salt", "scrypt$salt$", "md5$salt$00", "4711"])
def test_nothing_fits_what_is_no_hash(kept: str) -> None:
    assert not verify_pin("4711", kept)


@pytest.mark.parametrize(("pin", "fits"), [("1234", True), ("123456789012", True), ("123", False), ("1" * 13, False), ("12a4", False)])
def test_a_pin_has_four_to_twelve_digits(pin: str, fits: bool) -> None:
    assert pin_fits(pin) is fits
