"""A tenant's own audio files and playlists as files to play.

Invariant: what cannot be had is left out and said in the log; whoever asks has something else to play.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carillon_contracts.config import Audio, Playlist, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.logs import get_logger
from carillon_media.adapters.object_cache import ObjectCache

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Track:
    """A file and its length in ms."""

    path: Path
    duration_ms: int


class TenantSounds:
    """Of every tenant whose configuration is known."""

    def __init__(self, config_of: Callable[[str], TenantConfig | None], cache: ObjectCache, offsets: Path) -> None:
        """`offsets`: a folder for the ends and beginnings of tracks that music goes on in."""
        self._config_of = config_of
        self._cache = cache
        self._offsets = offsets
        offsets.mkdir(parents=True, exist_ok=True)

    async def audio(self, tenant: str, audio_id: str, *, wide: bool = False) -> Path | None:
        """A file of the tenant's, `wide`: at 16 kHz."""
        config = self._config_of(tenant)
        audio = config.get(Audio, audio_id) if config is not None else None
        if audio is None:
            _log.warning("an audio file is not configured", tenant=tenant, audio_id=audio_id)
            return None
        return await self._file(audio, wide)

    async def _file(self, audio: Audio, wide: bool) -> Path | None:
        return (await self._cache.get(audio.wide_object) if wide else None) or await self._cache.get(audio.object)

    async def warm(self, config: TenantConfig) -> None:
        """Fetch a tenant's files before somebody waits for them."""
        for audio in config.audios.values():
            await self._cache.get(audio.object)

    async def tracks(self, tenant: str, playlist_id: str, call_id: str, *, wide: bool = False) -> list[Track]:
        """A playlist's files in the order of this call, `wide`: at 16 kHz; empty when none can be had."""
        config = self._config_of(tenant)
        playlist = config.get(Playlist, playlist_id) if config is not None else None
        if config is None or playlist is None:
            return []
        found: list[Track] = []
        for audio_id in ordered(playlist, call_id):
            audio = config.get(Audio, audio_id)
            path = await self._file(audio, wide) if audio is not None else None
            if audio is not None and path is not None:
                found.append(Track(path, audio.duration_ms))
        return found

    async def hold_music(
        self, tenant: str, user_id: str, call_id: str, heard: float, *, wide: bool = False, playlist_id: str = ""
    ) -> list[Path]:
        """The playlist, or the user's or the tenant's hold music, to be looped; empty: there is none."""
        playlist_id, goes_on = self._hold_playlist(tenant, user_id, playlist_id)
        tracks = await self.tracks(tenant, playlist_id, call_id, wide=wide) if playlist_id else []
        if not goes_on or heard < 1:
            return [track.path for track in tracks]
        return rotated(tracks, int(heard), self._offsets)

    def _hold_playlist(self, tenant: str, user_id: str, named: str) -> tuple[str, bool]:
        config = self._config_of(tenant)
        if config is None:
            return "", False
        user, own = config.get(User, user_id), config.get(Tenant, tenant)
        playlist_id = (
            named if named in config.playlists else next((each.hold_music_id for each in (user, own) if each and each.hold_music_id), "")
        )
        playlist = config.get(Playlist, playlist_id)
        return playlist_id, playlist is not None and playlist.resume == "continue"


def ordered(playlist: Playlist, call_id: str) -> list[str]:
    """Audio ids as this call hears them; shuffled by a hash of the call, so that it can be told afterwards."""
    ids = [track.audio_id for track in playlist.tracks]
    if playlist.order == "listed":
        return ids
    places = range(len(ids))
    return [ids[place] for place in sorted(places, key=lambda place: hashlib.sha256(f"{call_id}\0{place}".encode()).digest())]


def rotated(tracks: Sequence[Track], heard: int, folder: Path) -> list[Path]:
    """The same loop from `heard` whole seconds on: the rest of the track, those after and before it, its beginning."""
    total = sum(track.duration_ms for track in tracks)
    at = heard * 1000 % total if total else 0
    for index, track in enumerate(tracks):
        if at < track.duration_ms:
            rest = [each.path for each in (*tracks[index + 1 :], *tracks[:index])]
            second = at // 1000
            if not second or (second + 1) * 1000 > track.duration_ms:
                return [track.path, *rest]
            return [cut(track.path, folder, second, None), *rest, cut(track.path, folder, 0, second)]
        at -= track.duration_ms
    return []


def cut(path: Path, folder: Path, start: int, end: int | None) -> Path:
    """Seconds `start` to `end` of a WAV, as a file of its own; made once."""
    target = folder / f"{path.stem}-{start}-{end or ''}.wav"
    if not target.exists():
        content = path.read_bytes()
        at = content.index(b"data") + 8
        head, body = content[:at], content[at:]
        format_at = head.index(b"fmt ") + 8
        rate = int.from_bytes(head[format_at + 8 : format_at + 12], "little")  # bytes a second
        part = body[start * rate : end * rate if end is not None else None]
        riff = b"RIFF" + (len(head) + len(part) - 8).to_bytes(4, "little")
        new = target.with_suffix(".new")
        new.write_bytes(riff + head[8:-4] + len(part).to_bytes(4, "little") + part)
        new.replace(target)
    return target
