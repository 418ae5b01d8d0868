"""What is sealed opens for its holder in its place, and nowhere else."""

import pytest

from carillon_kit.sealing import SealBroken, Sealer

KEY = b"k" * 40
ONE = Sealer(KEY, "passwords")


@pytest.mark.parametrize("text", ["secret", "", "mot de passe: é€", "x" * 128])
def test_a_sealed_text_opens_again(text: str) -> None:
    sealed = ONE.seal(text, "dupont", "carrier")
    assert Sealer(KEY, "passwords").open(sealed, "dupont", "carrier") == text
    assert not text or text not in sealed


def test_the_same_secret_in_the_same_place_is_the_same_seal() -> None:
    assert ONE.seal("secret", "dupont", "carrier") == ONE.seal("secret", "dupont", "carrier")
    assert ONE.seal("secret", "dupont", "carrier") != ONE.seal("secret", "martin", "carrier")


@pytest.mark.parametrize(
    ("sealer", "context"),
    [
        (Sealer(b"j" * 40, "passwords"), ("dupont", "carrier")),
        (Sealer(KEY, "tokens"), ("dupont", "carrier")),
        (ONE, ("martin", "carrier")),
        (ONE, ("dupont",)),
    ],
)
def test_another_key_purpose_or_place_opens_nothing(sealer: Sealer, context: tuple[str, ...]) -> None:
    with pytest.raises(SealBroken):
        sealer.open(ONE.seal("secret", "dupont", "carrier"), *context)


@pytest.mark.parametrize("garbage", ["", "x", "AAAA", "é", "!" * 40, ONE.seal("secret", "a")[:-2]])
def test_garbage_opens_nothing(garbage: str) -> None:
    with pytest.raises(SealBroken):
        ONE.open(garbage, "a")
