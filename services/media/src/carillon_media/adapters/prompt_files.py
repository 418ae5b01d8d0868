"""Prompts of call control as files: the prompt store for what is spoken, and a ringing tone of our own."""

import math
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

from carillon.common.v1 import call_application_pb2 as pb
from carillon_media.adapters.hold_music import hold_music
from carillon_media.adapters.keypad import keypad_files
from carillon_media.adapters.prompts import PromptStore
from carillon_media.domain.steps import Beep, Prompt, Silence, Speech, Tones

_RATE = 8000


class PromptFiles:
    """`ports.PromptPort`. Files are made in `folder`."""

    def __init__(self, store: PromptStore, folder: Path, music: Path | None = None) -> None:
        """`music`: a WAV file for held parties; None: a melody of our own. Raises ValueError or OSError when it cannot be used."""
        self._store = store
        self._folder = folder
        self._music = hold_music(folder, music)
        self._ringback = folder / "ringback-425-1000-4000.wav"
        if not self._ringback.exists():
            _write_ringback(self._ringback)

    async def files(self, prompts: Sequence[Prompt]) -> list[Path]:
        """Files to play one after another; raises OSError."""
        files: list[Path] = []
        for prompt in prompts:
            if isinstance(prompt, Tones):
                files += keypad_files(self._folder, prompt.digits)
            else:
                files.append(await self._store.path_for(_proto(prompt)))
        return files

    def ringback(self) -> Path:
        """ITU-T E.180 as most of Europe has it: 425 Hz, 1 s on, 4 s off."""
        return self._ringback

    def hold_music(self) -> Path:
        """What a held party hears, again and again."""
        return self._music


def _proto(prompt: Speech | Beep | Silence) -> pb.Prompt:
    match prompt:
        case Speech(text, language):
            return pb.Prompt(speech=pb.Speech(text=text, language=language))
        case Beep():
            return pb.Prompt(beep=True)
        case Silence(milliseconds):
            return pb.Prompt(silence_ms=milliseconds)


def _write_ringback(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = [round(6000 * math.sin(2 * math.pi * 425 * n / _RATE)) for n in range(_RATE)]
    new = path.with_suffix(".new")
    with wave.open(str(new), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(struct.pack(f"<{_RATE}h", *tone) + bytes(2 * 4 * _RATE))
    new.replace(path)
