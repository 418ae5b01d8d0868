"""Prompts become 8 kHz WAV files, once, whatever happens to the synthesiser."""

import asyncio
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from carillon.common.v1.call_application_pb2 import Prompt, Speech
from carillon_media.adapters.prompts import PromptStore, voice_of

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)


def say(text: str, language: str = "fr") -> Prompt:
    return Prompt(speech=Speech(text=text, language=language))


def script(folder: Path, body: str) -> str:
    path = folder / "synthesiser"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def test_the_beep_is_1000_hz_for_250_ms(tmp_path: Path) -> None:
    samples = samples_of(await PromptStore(tmp_path).path_for(Prompt(beep=True)))
    assert len(samples) == 2000
    assert np.argmax(np.abs(np.fft.rfft(samples))) * 8000 / len(samples) == 1000


async def test_silence_is_as_long_as_asked_and_bounded(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    samples = samples_of(await store.path_for(Prompt(silence_ms=750)))
    assert len(samples) == 6000
    assert not samples.any()
    assert len(samples_of(await store.path_for(Prompt(silence_ms=2_000_000_000)))) == 60 * 8000


@needs_espeak
@pytest.mark.feature("M-8")
@pytest.mark.parametrize("language", ["fr", "fr-CH", "en", "de", "nl", "it"])
async def test_text_is_spoken_in_its_language(tmp_path: Path, language: str) -> None:
    samples = samples_of(await PromptStore(tmp_path).path_for(say("Bonjour, vous êtes bien chez Dupont.", language)))
    assert 1 < len(samples) / 8000 < 8
    assert np.abs(samples).max() > 3000


@needs_espeak
async def test_the_same_text_is_spoken_once_however_many_ask(tmp_path: Path) -> None:
    log = tmp_path / "log"
    store = PromptStore(tmp_path / "prompts", synthesiser=script(tmp_path, f'echo x >> {log}; exec espeak-ng "$@"'))
    await store.warm([say("Un")])
    paths = await asyncio.gather(*(store.path_for(say(text)) for text in ["Un", "Deux", "Deux", "Deux"]))
    assert len(set(paths)) == 2
    assert log.read_text().count("x") == 2


@needs_espeak
async def test_text_that_looks_like_an_option_is_spoken(tmp_path: Path) -> None:
    samples = samples_of(await PromptStore(tmp_path).path_for(say("--version", "en")))
    assert np.abs(samples).max() > 3000


@pytest.mark.parametrize("body", ["exit 1", "echo nonsense", "cat > /dev/null; exec sleep 60"], ids=["fails", "nonsense", "hangs"])
async def test_a_tone_stands_in_for_speech_that_fails_and_is_not_kept(tmp_path: Path, body: str) -> None:
    folder = tmp_path / "prompts"
    store = PromptStore(folder, synthesiser=script(tmp_path, body), deadline=0.3)
    path = await store.path_for(say("Bonjour"))
    assert np.abs(samples_of(path)).max() > 3000
    assert [found.name for found in folder.iterdir()] == [path.name]


async def test_without_a_synthesiser_a_tone_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    samples = samples_of(await PromptStore(tmp_path / "prompts").path_for(say("Bonjour")))
    assert np.argmax(np.abs(np.fft.rfft(samples))) * 8000 / len(samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("tag", "voice"), [("fr-CH", "fr-ch"), ("fr-CA", "fr-fr"), ("de-CH", "de"), ("zz", "en-gb"), ("", "en-gb")])
def test_a_language_without_its_own_voice_takes_the_nearest(tag: str, voice: str) -> None:
    assert voice_of(tag) == voice


@needs_espeak
@pytest.mark.feature("M-8")
async def test_who_hears_wide_band_is_spoken_to_so(tmp_path: Path) -> None:
    """A hiss (s) is above what 8 kHz can hold."""
    store = PromptStore(tmp_path)
    hiss = say("Six sessions.", "en")
    narrow, wide = await store.path_for(hiss), await store.path_for(hiss, wide=True)
    with wave.open(str(wide)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    assert spectrum[len(spectrum) // 2 :].sum() > 0.01 * spectrum.sum()
    assert narrow != wide
    assert len(samples_of(narrow)) == pytest.approx(len(samples) / 2, abs=2)
    assert await store.path_for(Prompt(beep=True), wide=True) == await store.path_for(Prompt(beep=True))
