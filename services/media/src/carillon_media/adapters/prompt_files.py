"""Prompts of call control as files: the prompt store for what is spoken, the tenant's own files and music, and a ringing tone of ours."""

import math
import struct
import wave
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.logs import get_logger
from carillon_media.adapters.hold_music import hold_music
from carillon_media.adapters.prompts import RATE, WIDE_RATE, PromptStore, tone, write_wav
from carillon_media.adapters.tenant_sounds import TenantSounds, cut
from carillon_media.domain.saying import has_grammar
from carillon_media.domain.saying.words import words
from carillon_media.domain.steps import AudioFile, Beep, Music, Prompt, Recorded, Silence, Speech, Spoken

_log = get_logger(__name__)
_RATE = 8000


async def _nowhere(name: str) -> Path | None:
    return None


class PromptFiles:
    """`ports.PromptPort`. Files are made in `folder`."""

    def __init__(
        self,
        store: PromptStore,
        folder: Path,
        sounds: TenantSounds,
        music: Path | None = None,
        recorded: Callable[[str], Awaitable[Path | None]] = _nowhere,
    ) -> None:
        """`music`: a WAV file for held parties; None: a melody of our own. `recorded`: what a call has recorded, by object name.
        Raises ValueError or OSError when the music cannot be used."""
        self._store = store
        self._folder = folder
        self._sounds = sounds
        self._recorded = recorded
        self._music, self._wide_music = (hold_music(folder, music, rate) for rate in (RATE, WIDE_RATE))
        self._ringback = folder / "ringback-425-1000-4000.wav"
        if not self._ringback.exists():
            _write_ringback(self._ringback)

    async def files(self, tenant: str, prompts: Sequence[Prompt], call_id: str, *, wide: bool = False) -> list[Path]:
        """Files to play one after another, `wide`: at 16 kHz, as far as there are such; raises OSError."""
        files: list[Path] = []
        for prompt in prompts:
            match prompt:
                case Music():
                    files += await self._once_through(tenant, prompt, call_id, wide)
                case AudioFile():
                    files += await self._audio(tenant, prompt, wide)
                case Recorded(name):
                    path = await self._recorded(name)
                    files += [path] if path is not None else []
                case Spoken():
                    language = prompt.language if has_grammar(prompt.language) else "en"
                    files.append(await self._spoken(Speech(words(prompt), language), wide))
                case Speech() | Beep() | Silence():
                    files.append(await self._spoken(prompt, wide))
        return files

    def ringback(self) -> Path:
        """ITU-T E.180 as most of Europe has it: 425 Hz, 1 s on, 4 s off."""
        return self._ringback

    def room_sounds(self) -> tuple[Path, Path]:
        """Two tones up, two tones down."""
        paths = self._folder / "room-entry.wav", self._folder / "room-exit.wav"
        for path, hertz in zip(paths, ((523, 784), (784, 523)), strict=True):
            if not path.exists():
                write_wav(path, np.concatenate([tone(each, 140) for each in hertz]))
        return paths

    async def music(self, tenant: str, playlist_id: str) -> list[Path]:
        """A playlist's files, or the tenant's hold music."""
        tracks = await self._sounds.tracks(tenant, playlist_id, "") if playlist_id else []
        return [track.path for track in tracks] or await self.hold_music(tenant, "", "", 0)

    async def hold_music(
        self, tenant: str, user_id: str, call_id: str, heard: float, *, wide: bool = False, playlist_id: str = ""
    ) -> list[Path]:
        """What a held party hears, again and again."""
        found = await self._sounds.hold_music(tenant, user_id, call_id, heard, wide=wide, playlist_id=playlist_id)
        return found or [self._own_music(wide)]

    def _own_music(self, wide: bool) -> Path:
        return self._wide_music if wide else self._music

    async def _spoken(self, prompt: Speech | Beep | Silence, wide: bool) -> Path:
        return await self._store.path_for(_proto(prompt), wide=wide)

    async def _audio(self, tenant: str, prompt: AudioFile, wide: bool) -> list[Path]:
        path = await self._sounds.audio(tenant, prompt.audio_id, wide=wide)
        if path is not None:
            return [path]
        _log.warning("text is spoken in place of an audio file", tenant=tenant, audio_id=prompt.audio_id, has_text=bool(prompt.text))
        return [await self._spoken(Speech(prompt.text, prompt.language), wide)] if prompt.text else []

    async def _once_through(self, tenant: str, music: Music, call_id: str, wide: bool) -> list[Path]:
        """Whole tracks while they fit, the last one cut to a whole second; our own melody where the tenant has none."""
        if not music.playlist_id:
            found = await self._sounds.hold_music(tenant, "", call_id, 0, wide=wide)
            return found or [self._own_music(wide)]
        tracks = await self._sounds.tracks(tenant, music.playlist_id, call_id, wide=wide)
        left = music.max_ms or sum(track.duration_ms for track in tracks)
        files: list[Path] = []
        for track in tracks:
            if left >= track.duration_ms:
                files.append(track.path)
            elif left >= 1000:
                files.append(cut(track.path, self._folder, 0, left // 1000))
            left = max(0, left - track.duration_ms)
        return files or [self._own_music(wide)]


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
