"""Prompt sets: recorded voices, a file for each phrase, in place of what the synthesiser would say.

A set is a folder or ZIP with `manifest.json`:
`{"format": 1, "name": "anna", "language": "fr", "phrases": [{"text": "Au revoir.", "file": "0001.wav"}, ...]}` and its files: WAV, 16 bit,
one channel, 8 to 48 kHz. Sets are installed as folders in one folder; for a language they are looked at in the order of their names.

Invariant: a text is said by recorded voices whole or not at all; a set is complete when its folder exists.
"""

import asyncio
import json
import shutil
import tempfile
import wave
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carillon_kit.logs import get_logger
from carillon_media.adapters.prompts import RATE, Samples, write_wav
from carillon_media.domain import saying
from carillon_media.domain.saying.vocabulary import cover, key_of

_log = get_logger(__name__)
MANIFEST = "manifest.json"
MAX_PHRASES = 5000
MAX_BYTES = 256 * 1024 * 1024
MAX_SECONDS = 60
RESCAN_SECONDS = 5.0
#: Between two phrases of one text, and after the last.
_GAP, _END = np.zeros(RATE * 60 // 1000), np.zeros(RATE // 4)
#: Softer than that, at the ends of a file, is silence.
_SILENT = 0.004


class BadPromptSet(Exception):
    """The set cannot be used; each of `faults` says why."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhraseFile(_Shape):
    """One phrase and its file, which lies beside the manifest."""

    text: str = Field(min_length=1, max_length=2000)
    file: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")


class Manifest(_Shape):
    """`manifest.json`."""

    format: int = Field(ge=1, le=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    language: str = Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    phrases: tuple[PhraseFile, ...] = Field(min_length=1, max_length=MAX_PHRASES)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A set that can be used: files by phrase."""

    manifest: Manifest
    folder: Path
    files: Mapping[str, Path] = field(repr=False)


def load(folder: Path, *, thorough: bool = False) -> PromptSet:
    """The set in a folder; `thorough`: with a look into each file. Raises BadPromptSet."""
    manifest = _manifest(folder)
    files, faults = dict[str, Path](), list[str]()
    for phrase in manifest.phrases:
        key, path = key_of(phrase.text), folder / phrase.file
        if not key:
            faults.append(f"{phrase.file}: its text has no words")
        elif key in files:
            faults.append(f"{phrase.file}: {phrase.text!r} is there twice")
        elif not path.is_file():
            faults.append(f"{phrase.file}: is not there")
        elif thorough and (fault := _fault(path)):
            faults.append(f"{phrase.file}: {fault}")
        files[key] = path
    if faults:
        raise BadPromptSet(faults)
    return PromptSet(manifest, folder, files)


def _manifest(folder: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise BadPromptSet([f"{MANIFEST} cannot be read: {error.strerror}"]) from error
    except ValidationError as error:
        places = (".".join(map(str, each["loc"])) or "it" for each in error.errors())
        faults = [f"{MANIFEST}: {place}: {each['msg']}" for place, each in zip(places, error.errors(), strict=True)]
        raise BadPromptSet(faults) from error


def _fault(path: Path) -> str:
    try:
        samples = _read(path)
    except (OSError, wave.Error, EOFError, ValueError) as error:
        return f"is no WAV of 16 bit, one channel, 8 to 48 kHz ({error})"
    if len(samples) > MAX_SECONDS * RATE:
        return f"is longer than {MAX_SECONDS} s"
    return "" if len(_trimmed(samples)) else "is silent"


def _read(path: Path) -> Samples:
    """At `RATE`. Raises ValueError and what `wave` raises."""
    if path.stat().st_size > MAX_SECONDS * 48_000 * 2 + 4096:
        raise ValueError("too large")
    with wave.open(str(path), "rb") as file:
        rate = file.getframerate()
        if (file.getnchannels(), file.getsampwidth()) != (1, 2) or not 8000 <= rate <= 48_000:
            raise ValueError(f"{file.getnchannels()} channels, {8 * file.getsampwidth()} bit, {rate} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64) / 32768
    return samples if rate == RATE else np.asarray(soxr.resample(samples, rate, RATE))


def _trimmed(samples: Samples) -> Samples:
    heard = np.flatnonzero(np.abs(samples) > _SILENT)
    return samples[heard[0] : heard[-1] + 1] if len(heard) else samples[:0]


def install(source: Path, sets: Path) -> PromptSet:
    """Check a folder or ZIP and put it among the sets, in place of one of the same name. Raises BadPromptSet or OSError."""
    sets.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=sets, prefix=".") as scratch:
        given = source if source.is_dir() else _unpacked(source, Path(scratch) / "given")
        found, new = load(given, thorough=True), Path(scratch) / "new"
        new.mkdir()
        for path in found.files.values():
            write_wav(new / path.name, _read(path))
        (new / MANIFEST).write_text(found.manifest.model_dump_json(indent=1))
        new.chmod(0o755)
        target = sets / found.manifest.name
        if target.exists():
            target.rename(Path(scratch) / "old")
        new.rename(target)
    return load(target)


def _unpacked(source: Path, folder: Path) -> Path:
    """Plain files only, of a known size; whatever else the archive holds is a fault."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            odd = [entry.filename for entry in entries if Path(entry.filename).name != entry.filename or "\\" in entry.filename]
            if odd:
                raise BadPromptSet([f"{name}: lies in a folder of the ZIP" for name in odd[:10]])
            if len(entries) > MAX_PHRASES + 1 or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise BadPromptSet([f"the ZIP holds more than {MAX_PHRASES} files or {MAX_BYTES >> 20} MB"])
            folder.mkdir()
            for entry in entries:
                (folder / entry.filename).write_bytes(archive.read(entry))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise BadPromptSet([f"{source} is neither a folder nor a ZIP: {error}"]) from error
    return folder


def remove(name: str, sets: Path) -> None:
    """Take a set out. Raises OSError."""
    shutil.rmtree(sets / name)


def installed(sets: Path) -> list[PromptSet]:
    """In the order in which they are looked at; what is no set is left out and said in the log."""
    found = []
    for path in sorted(sets.glob("*/" + MANIFEST)):
        if not path.parent.name.startswith("."):
            try:
                found.append(load(path.parent))
            except BadPromptSet as error:
                _log.error("a prompt set is not used", folder=str(path.parent), faults=list(error.faults[:10]))
    return found


class PromptSets:
    """What is installed, followed by `follow`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: Any = None
        self._by_language: dict[str, dict[str, Path]] = {}
        self.rescan()

    def rescan(self) -> None:
        """Look again, if anything has changed."""
        seen = [(path.parent.name, path.stat().st_mtime_ns) for path in sorted(self._folder.glob("*/" + MANIFEST))]
        if seen == self._seen:
            return
        by_language: dict[str, dict[str, Path]] = {}
        for one in installed(self._folder):
            known = by_language.setdefault(one.manifest.language, {})
            known.update({key: path for key, path in one.files.items() if key not in known})
            _log.info("prompt set", name=one.manifest.name, language=one.manifest.language, phrases=len(one.files))
        self._seen, self._by_language = seen, by_language

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            try:
                await asyncio.to_thread(self.rescan)
            except OSError as error:
                _log.warning("prompt sets cannot be read", error=str(error))

    def find(self, language: str, text: str) -> list[Path] | None:
        """Files that say this text one after another; None: it must be synthesised. A set for `fr` says what it has of `fr-CH`."""
        for tag in dict.fromkeys((language, language.split("-")[0])):
            phrases = self._by_language.get(tag)
            if not phrases:
                continue
            keys = cover(text, phrases.keys()) or cover(_spelt(text, language), phrases.keys())
            if keys:
                return [phrases[key] for key in keys]
        return None

    def joined(self, files: Sequence[Path]) -> Samples:
        """As one: the silence at their ends is cut, a breath is between them. Raises ValueError, OSError and what `wave` raises."""
        parts: list[Samples] = []
        for path in files:
            parts += [_GAP, _trimmed(_read(path))] if parts else [_trimmed(_read(path))]
        return np.concatenate([*parts, _END])


def _spelt(text: str, language: str) -> str:
    """With figures as words: `number 3` is said by the recorded `three`."""
    return " ".join(_figures(word, language) for word in text.split())


def _figures(word: str, language: str) -> str:
    bare = word.rstrip(".,;:!?")
    return saying.number(int(bare), language) if bare.isdecimal() and len(bare) <= 12 else word


def pack(folder: Path, name: str, language: str, spoken: Sequence[tuple[str, Path]]) -> PromptSet:
    """Make a set of texts and the WAV files that say them."""
    folder.mkdir(parents=True, exist_ok=True)
    phrases = []
    for number, (text, path) in enumerate(spoken, 1):
        file = f"{number:04}.wav"
        (folder / file).write_bytes(path.read_bytes())
        phrases.append({"text": text, "file": file})
    manifest = {"format": 1, "name": name, "language": language, "phrases": phrases}
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1))
    return load(folder)
