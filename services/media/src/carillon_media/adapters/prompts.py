"""Prompts as files that the media plane plays: WAV, mono, 16 bit, 8 kHz, or 16 kHz for who hears that.

Always: the same prompt is the same file, made once, complete when its name exists; whatever happens to the speech synthesiser, a prompt
gives something audible within the deadline. Text is given to the synthesiser as data, never as arguments.
"""

import asyncio
import hashlib
import io
import math
import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from carillon.common.v1.call_application_pb2 import Prompt, Speech
from carillon_kit.logs import get_logger

_log = get_logger(__name__)

#: -1 to 1, at `RATE`.
Samples = NDArray[np.float64]
RATE, WIDE_RATE = 8000, 16_000
#: Changes when the sound of the same prompt does, so that cached files of before are not used.
_RECIPE = "1"
MAX_TEXT = 2000
MAX_SILENCE_MS = 60_000
#: espeak-ng's voices by BCP 47 tag; a tag that is not here is looked up by its language alone, and last of all English is spoken.
VOICES = {
    "fr": "fr-fr",
    "fr-CH": "fr-ch",
    "fr-BE": "fr-be",
    "en": "en-gb",
    "en-US": "en-us",
    "de": "de",
    "nl": "nl",
    "it": "it",
    "es": "es",
    "pt": "pt",
}


class SpeechFailed(Exception):
    """The synthesiser is missing, failed or took too long."""


def voice_of(language: str) -> str:
    """espeak-ng's voice for a language tag."""
    return VOICES.get(language) or VOICES.get(language.split("-")[0]) or VOICES["en"]


class Recorded(Protocol):
    """Voices of people, see `prompt_sets`."""

    def find(self, language: str, text: str) -> Sequence[Path] | None:
        """Files that say this text one after another."""

    def joined(self, files: Sequence[Path]) -> Samples:
        """As one. Raises ValueError, OSError, EOFError or `wave.Error`."""


class PromptStore:
    """Prompts by content in a folder. `synthesiser` is espeak-ng's path; None: as found on PATH. `recorded` says texts by voices of people
    if it can: which files, and what they sound like one after another."""

    def __init__(
        self,
        folder: Path,
        *,
        synthesiser: str | None = None,
        deadline: float = 10.0,
        processes: int = 2,
        recorded: Recorded | None = None,
    ) -> None:
        self._folder = folder
        self._recorded = recorded
        self._synthesiser = synthesiser or shutil.which("espeak-ng")
        self._deadline = deadline
        self._processes = asyncio.Semaphore(processes)
        self._rendering: dict[str, asyncio.Future[Path]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._synthesiser is None:
            _log.error("espeak-ng is not installed: callers hear a tone in place of every spoken text")

    async def path_for(self, prompt: Prompt, *, wide: bool = False) -> Path:
        """The file of a prompt, made if need be; `wide`: the synthesiser's speech at 16 kHz. Never fails for want of speech: a tone stands
        in. Raises `OSError` (disk)."""
        kind = prompt.WhichOneof("kind")
        if kind == "speech":
            return await self._speech(prompt.speech, WIDE_RATE if wide else RATE)
        if kind == "silence_ms":
            length = max(0, min(prompt.silence_ms, MAX_SILENCE_MS))
            return self._keep(f"silence-{length}", lambda: np.zeros(RATE * length // 1000))
        return self._keep("beep", lambda: tone(1000, 250))

    async def warm(self, prompts: Iterable[Prompt]) -> None:
        """Make these ahead of the calls that will need them, one after another."""
        for prompt in prompts:
            await self.path_for(prompt)

    async def _speech(self, speech: Speech, rate: int) -> Path:
        voice, text = voice_of(speech.language), speech.text[:MAX_TEXT]
        if (found := await self._by_people(speech.language, text)) is not None:
            return found
        key = hashlib.sha256(f"{_RECIPE}\0{voice}\0{text}".encode()).hexdigest() + ("-wide" if rate == WIDE_RATE else "")
        path = self._folder / f"{key}.wav"
        if path.exists():
            return path
        rendering = self._rendering.get(key)
        if rendering is None:
            rendering = self._rendering[key] = asyncio.ensure_future(self._render(path, voice, text, rate))
            rendering.add_done_callback(lambda _: self._rendering.pop(key, None))
        return await asyncio.shield(rendering)

    async def _by_people(self, language: str, text: str) -> Path | None:
        files = self._recorded.find(language, text) if self._recorded is not None else None
        if files is None or self._recorded is None:
            return None
        try:
            marks = "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in files)
            path = self._folder / f"said-{hashlib.sha256(marks.encode()).hexdigest()}.wav"
            if not path.exists():
                write_wav(path, await asyncio.to_thread(self._recorded.joined, files))
        except (OSError, ValueError, EOFError, wave.Error) as error:
            _log.error("a recorded phrase cannot be used", error=str(error))
            return None
        return path

    async def _render(self, path: Path, voice: str, text: str, rate: int) -> Path:
        if self._synthesiser is None:
            return self._stand_in()
        try:
            async with asyncio.timeout(self._deadline), self._processes:
                spoken = await _speak(self._synthesiser, voice, text)
                samples = await asyncio.to_thread(_telephone, spoken, rate)
        except (TimeoutError, OSError, SpeechFailed) as error:
            _log.error("text could not be spoken; a tone stands in", voice=voice, characters=len(text), error=str(error) or "deadline")
            return self._stand_in()
        write_wav(path, samples, rate)
        return path

    def _stand_in(self) -> Path:
        return self._keep("no-speech", lambda: tone(440, 600))

    def _keep(self, name: str, make: Callable[[], Samples]) -> Path:
        path = self._folder / f"{name}.wav"
        if not path.exists():
            write_wav(path, make())
        return path


async def _speak(program: str, voice: str, text: str) -> bytes:
    """What espeak-ng writes: a WAV whose lengths are wrong because it goes to a pipe."""
    process = await asyncio.create_subprocess_exec(
        program,
        *("-v", voice, "-s", "150", "-b", "1", "--stdin", "--stdout"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or len(output) <= 44 or not output.startswith(b"RIFF"):
        raise SpeechFailed(f"espeak-ng ended with {process.returncode} and {len(output)} bytes")
    return output


def _telephone(wav: bytes, rate: int) -> Samples:
    """16 bit mono of any rate to `rate`, -1 to 1, a quarter second of silence behind it so that phrases do not run together."""
    given = int.from_bytes(wav[24:28], "little")
    body = wav[44:]
    samples = np.frombuffer(body[: len(body) // 2 * 2], dtype="<i2").astype(np.float64) / 32768
    return np.concatenate([soxr.resample(samples, given, rate), np.zeros(rate // 4)])


def tone(hertz: float, milliseconds: int) -> Samples:
    """A sine at -12 dB with 5 ms ramps, -1 to 1."""
    count = RATE * milliseconds // 1000
    ramp = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (RATE * 0.005))
    return 0.25 * ramp * np.sin(2 * math.pi * hertz * np.arange(count) / RATE)


def write_wav(path: Path, samples: Samples, rate: int = RATE) -> None:
    """Complete or not there: written beside and renamed."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    with os.fdopen(descriptor, "wb") as new:
        new.write(buffer.getvalue())
    os.chmod(name, 0o644)
    os.replace(name, path)
