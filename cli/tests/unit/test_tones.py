import math
import random

import pytest

from carillon_cli.phone import g711, wav
from carillon_cli.phone.tones import classify, estimate_hz, goertzel, hear, tone

pytestmark = pytest.mark.feature("P-6")


def test_goertzel_gives_the_power_of_a_sine_and_none_beside_it() -> None:
    samples = tone(1000, 400, amplitude=1000)
    assert goertzel(samples, 1000) == pytest.approx(500_000, rel=0.01)
    assert goertzel(samples, 1400) < 1000


@pytest.mark.parametrize("hz", [400, 440, 730, 1000, 1310, 2000, 3000])
@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_a_tone_is_heard_at_its_frequency_after_g711(codec: str, hz: int) -> None:
    samples = g711.decode(codec, g711.encode(codec, tone(hz, 8000)))
    heard = hear(samples)
    assert heard.tone_seconds(hz) == pytest.approx(1.0)
    assert heard.silence == 0


def test_the_frequency_is_estimated_to_a_hertz() -> None:
    assert estimate_hz(tone(987, 400, start=13)) == pytest.approx(987, abs=1)


def test_silence_is_silence_also_as_comfort_noise() -> None:
    noise = random.Random(1)
    assert classify([0.0] * 400) == 0
    assert classify([noise.uniform(-90, 90) for _ in range(400)]) == 0


def test_noise_and_two_tones_at_once_are_no_clear_tone() -> None:
    noise = random.Random(1)
    assert classify([noise.uniform(-9000, 9000) for _ in range(400)]) is None
    assert classify([a + b for a, b in zip(tone(600, 400), tone(1100, 400), strict=True)]) is None


def test_shares_of_time_are_told() -> None:
    heard = hear(tone(600, 8000) + [0.0] * 4000 + tone(900, 16000))
    assert heard.tones == ((900, 2.0), (600, 1.0))
    assert heard.silence == 0.5
    assert str(heard) == "900 Hz 2.0 s, 600 Hz 1.0 s, silence 0.5 s"


def test_pieces_of_a_tone_join_without_a_click() -> None:
    whole = tone(700, 320)
    assert whole == pytest.approx(tone(700, 160) + tone(700, 160, start=160))


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_every_code_word_survives_decoding_and_encoding(codec: str) -> None:
    words = bytes(range(256))
    again = g711.decode(codec, g711.encode(codec, g711.decode(codec, words)))
    assert again == g711.decode(codec, words)


def test_g711_agrees_with_the_tables_of_the_itu() -> None:
    assert g711.DECODE["PCMA"][0xD5] == 8
    assert g711.DECODE["PCMA"][0xAA] == 32256
    assert g711.DECODE["PCMU"][0x80] == 32124
    assert g711.DECODE["PCMU"][0xFF] == 0


def test_a_wav_file_is_read_back() -> None:
    samples = [round(value) for value in tone(500, 801)]
    assert wav.read(wav.write(samples)) == samples


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:30], "claims|no fmt"),
        (lambda data: b"OggS" + data[4:], "RIFF"),
        (lambda data: data[:24] + (44100).to_bytes(4, "little") + data[28:], "44100"),
        (lambda data: data[:-10], "claims"),
    ],
)
def test_a_damaged_wav_file_is_refused_with_its_reason(damage, reason) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(wav.BadWav, match=reason):
        wav.read(damage(wav.write([round(math.sin(n)) for n in range(100)])))
