"""Prompt sets: what they must hold, what is refused, and what is heard of them."""

import json
import os
import random
import wave
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carillon.common.v1.call_application_pb2 import Prompt, Speech
from carillon_media import prompt_set_tool
from carillon_media.adapters.prompt_sets import BadPromptSet, PromptSets, install, load
from carillon_media.adapters.prompts import PromptStore, tone, write_wav
from carillon_media.domain import saying
from carillon_media.domain.saying.vocabulary import LANGUAGES, cover, key_of, vocabulary
from carillon_rtp.testing import share_of

pytestmark = pytest.mark.feature("M-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_the_grammars_say_is_put_together_of_the_vocabulary(language: str) -> None:
    known, chance = {key_of(phrase) for phrase in vocabulary(language)}, random.Random(language)
    numbers = [*range(0, 1300, 7), *range(130), *(chance.randrange(10 ** chance.randrange(3, 13)) for _ in range(120)), 10**6, 3 * 10**9]
    said = [each(number, language) for number in numbers for each in (saying.number, saying.position)]
    said += [
        saying.day(chance.choice([0, 1066, 1900, 1999, 2000, 2026]), month, day, language)
        for month in range(1, 13)
        for day in (1, 2, 8, 21)
    ]
    said += [saying.clock(hour, minute, language) for hour in range(24) for minute in (0, 1, 5, 21, 30, 59)]
    said += [saying.amount(chance.randrange(10**7), currency, language) for currency in ("CHF", "EUR", "GBP", "USD") for _ in range(25)]
    said += [saying.amount(each, "EUR", language) for each in (1, 100, 101, 10**8)]
    said += [saying.duration(seconds, language) for seconds in range(0, 8000, 61)]
    said += [saying.number(-5, language), saying.digits("0123456789", language)]
    assert [text for text in said if cover(text, known) is None] == []


def test_the_fewest_phrases_are_taken_and_half_a_text_is_none() -> None:
    known = {key_of(text) for text in ("You are number", "in line", "vier", "und", "zwanzig", "vierundzwanzig", "twenty", "one")}
    assert cover("You are number twenty-one in line.", known) == ["you are number", "twenty", "one", "in line"]
    assert cover("Vierundzwanzig", known) == ["vierundzwanzig"]
    assert cover("You are number two in line.", known) is None
    assert cover("zwanzig!", set()) is None


@pytest.fixture
def given(tmp_path: Path) -> Any:
    """Makes a set of tones: hertz by text."""

    def make(name: str, language: str, **hertz: float) -> Path:
        folder = tmp_path / "given" / name
        folder.mkdir(parents=True)
        phrases = []
        for number, (text, each) in enumerate(hertz.items()):
            write_wav(folder / f"{number}.wav", np.concatenate([np.zeros(4000), tone(each, 300), np.zeros(4000)]))
            phrases.append({"text": text.replace("_", " "), "file": f"{number}.wav"})
        (folder / "manifest.json").write_text(json.dumps({"format": 1, "name": name, "language": language, "phrases": phrases}))
        return folder

    return make


async def heard(store: PromptStore, text: str, language: str) -> list[int]:
    path = await store.path_for(Prompt(speech=Speech(text=text, language=language)))
    with wave.open(str(path), "rb") as file:
        return [int(sample) for sample in np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")]


async def test_recorded_phrases_take_the_synthesisers_place_one_after_another(tmp_path: Path, given: Any) -> None:
    sets = PromptSets(tmp_path / "sets")
    store = PromptStore(tmp_path / "prompts", recorded=sets)
    synthesised = await heard(store, "You are number 21.", "en")
    install(given("anna", "en", You_are_number=500, twenty=700, one=900), tmp_path / "sets")
    sets.rescan()
    said = await heard(store, "You are number 21.", "en")
    assert abs(len(said) - (3 * 2400 + 2 * 480 + 2000)) < 80
    assert len(said) != len(synthesised)
    for start, hertz in ((0, 500), (2880, 700), (5760, 900)):
        assert share_of(said[start + 100 : start + 2300], hertz) > 0.9
    assert len(await heard(store, "You are number 22.", "en")) != len(said)
    assert sets.find("de", "one") is None


async def test_the_first_set_by_name_counts_and_a_dialect_is_said_by_its_language(tmp_path: Path, given: Any) -> None:
    for folder in (given("b", "fr", oui=500, non=500), given("a", "fr", oui=700), given("ch", "fr-CH", oui=900)):
        install(folder, tmp_path / "sets")
    sets = PromptSets(tmp_path / "sets")
    store = PromptStore(tmp_path / "prompts", recorded=sets)
    for text, language, hertz in (("Oui", "fr", 700), ("Non.", "fr", 500), ("oui", "fr-CH", 900), ("non", "fr-CH", 500)):
        assert share_of((await heard(store, text, language))[100:2300], hertz) > 0.9


async def test_a_set_that_is_replaced_is_heard_anew_and_one_that_loses_a_file_is_synthesised(tmp_path: Path, given: Any) -> None:
    install(given("anna", "en", yes=500), tmp_path / "sets")
    sets = PromptSets(tmp_path / "sets")
    store = PromptStore(tmp_path / "prompts", recorded=sets)
    assert share_of((await heard(store, "yes", "en"))[100:2300], 500) > 0.9
    (tmp_path / "given/anna").rename(tmp_path / "given/old")
    manifest = tmp_path / "sets/anna/manifest.json"
    install(given("anna", "en", yes=900), tmp_path / "sets")
    os.utime(manifest, ns=(1, 1))  # whatever the clock's grain
    sets.rescan()
    assert share_of((await heard(store, "yes", "en"))[100:2300], 900) > 0.9
    next(manifest.parent.glob("*.wav")).unlink()
    assert len(await heard(store, "yes", "en")) > 100


def test_what_is_wrong_with_a_set_is_named(tmp_path: Path, given: Any) -> None:
    def faults(folder: Path) -> list[str]:
        with pytest.raises(BadPromptSet) as error:
            load(folder, thorough=True)
        return list(error.value.faults)

    assert "cannot be read" in faults(tmp_path)[0]
    folder = given("bad", "en", yes=500, no=500, maybe=500, never=500)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "0.wav").unlink()
    (folder / "1.wav").write_bytes(b"RIFF")
    write_wav(folder / "2.wav", np.zeros(8000))
    manifest["phrases"].append({"text": "NEVER!", "file": "3.wav"})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = faults(folder)
    assert found[0] == "0.wav: is not there"
    assert found[1].startswith("1.wav: is no WAV of 16 bit")
    assert found[2:] == ["2.wav: is silent", "3.wav: 'NEVER!' is there twice"]
    for field, value in (("format", 2), ("language", "english"), ("name", "../x"), ("phrases", []), ("more", 1)):
        (folder / "manifest.json").write_text(json.dumps({**manifest, field: value}))
        assert faults(folder)[0].startswith(f"manifest.json: {field}")
    manifest["phrases"][0]["file"] = "../../etc/passwd"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert faults(folder)[0].startswith("manifest.json: phrases.0.file")


def test_a_zip_is_a_set_too_but_none_with_folders(tmp_path: Path, given: Any) -> None:
    folder = given("anna", "en", yes=500)
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for path in folder.iterdir():
            good.write(path, path.name)
            bad.write(path, f"../{path.name}")
    assert install(tmp_path / "good.zip", tmp_path / "sets").manifest.name == "anna"
    with pytest.raises(BadPromptSet, match="lies in a folder"):
        install(tmp_path / "bad.zip", tmp_path / "sets")
    with pytest.raises(BadPromptSet, match="neither a folder nor a ZIP"):
        install(folder / "0.wav", tmp_path / "sets")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["anna"]


def test_the_tool_builds_checks_installs_lists_and_removes(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(prompt_set_tool, "vocabulary", lambda language: ["one", "two"])
    monkeypatch.setattr(prompt_set_tool, "sentences", lambda language: ["Goodbye."])
    sets = ("--sets", str(tmp_path / "sets"))
    assert prompt_set_tool.main([*sets, "build", "en", str(tmp_path / "new")]) == 0
    assert prompt_set_tool.main([*sets, "check", str(tmp_path / "new")]) == 0
    assert prompt_set_tool.main([*sets, "install", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out == 3 * "generated-en  en  3 phrases, complete\n"
    monkeypatch.setattr(prompt_set_tool, "vocabulary", lambda language: ["one", "two", "three"])
    assert prompt_set_tool.main([*sets, "list"]) == 0
    assert "the synthesiser says 1 others: three" in capsys.readouterr().out
    assert prompt_set_tool.main([*sets, "remove", "generated-en"]) == 0
    assert prompt_set_tool.main([*sets, "remove", "generated-en"]) == 1
    assert prompt_set_tool.main([*sets, "check", str(tmp_path)]) == 1
    assert prompt_set_tool.main([*sets, "build", "tlh", str(tmp_path / "klingon")]) == 1
