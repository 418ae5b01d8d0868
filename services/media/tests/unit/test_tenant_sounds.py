"""A tenant's music: in whose order, and what of it is heard from a second on."""

from collections import Counter
from pathlib import Path

import pytest
import soundfile

from carillon_contracts.config import Playlist
from carillon_media.adapters.tenant_sounds import Track, cut, ordered, rotated

pytestmark = pytest.mark.feature("M-4")
TRACKS = [{"audio_id": name} for name in ("one", "two", "three")]


def music(folder: Path, name: str, seconds: int, **options: object) -> Path:
    """Each second of it is another level, so that it can be told."""
    path = folder / f"{name}.wav"
    rate = 16_000 if options.get("subtype") == "PCM_16" else 8000
    soundfile.write(path, [0.1 * (second + 1) for second in range(seconds) for _ in range(rate)], rate, **options)
    return path


def seconds_of(path: Path) -> list[float]:
    samples, rate = soundfile.read(path)
    return [round(float(samples[at + rate // 2]), 1) for at in range(0, len(samples), rate)]


def test_a_playlist_is_heard_as_listed_or_in_an_order_of_the_call_that_is_always_the_same() -> None:
    listed, shuffled = (Playlist.model_validate({"id": "p", "tracks": TRACKS, "order": order}) for order in ("listed", "shuffled"))
    assert ordered(listed, "c1") == ["one", "two", "three"]
    orders = Counter(tuple(ordered(shuffled, f"c{number}")) for number in range(600))
    assert len(orders) == 6
    assert min(orders.values()) > 60
    assert all(sorted(order) == ["one", "three", "two"] for order in orders)
    assert ordered(shuffled, "c1") == ordered(shuffled, "c1")


@pytest.mark.parametrize("subtype", ["ALAW", "PCM_16"])
def test_music_goes_on_from_the_second_where_it_stopped_and_comes_round(tmp_path: Path, subtype: str) -> None:
    tracks = [Track(music(tmp_path, name, seconds, subtype=subtype), seconds * 1000) for name, seconds in (("a", 2), ("b", 3))]

    def loop(heard: int) -> list[float]:
        return [level for path in rotated(tracks, heard, tmp_path) for level in seconds_of(path)]

    whole = [0.1, 0.2, 0.1, 0.2, 0.3]
    for heard in range(7):
        assert loop(heard) == whole[heard % 5 :] + whole[: heard % 5], heard
    part = cut(tracks[1].path, tmp_path, 1, 2)
    assert seconds_of(part) == [0.2]
    assert cut(tracks[1].path, tmp_path, 1, 2) == part
