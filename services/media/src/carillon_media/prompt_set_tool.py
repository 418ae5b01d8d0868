"""`python -m carillon_media.prompt_set_tool`: make, check, install, list and remove prompt sets; `carillon prompt-sets` calls it."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from carillon.common.v1.call_application_pb2 import Prompt, Speech
from carillon_media.adapters.prompt_sets import MAX_PHRASES, BadPromptSet, PromptSet, install, installed, load, pack, remove
from carillon_media.adapters.prompts import PromptStore
from carillon_media.domain.saying import has_grammar
from carillon_media.domain.saying.vocabulary import key_of, vocabulary
from carillon_media.sentences import sentences

SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: refused, the faults are on standard error."""
    parser = argparse.ArgumentParser(prog="carillon prompt-sets")
    parser.add_argument("--sets", type=Path, required=True, help="the folder of installed sets")
    actions = parser.add_subparsers(dest="action", required=True)
    build = actions.add_parser("build", help="a set of the synthesiser's voice, to begin from")
    build.add_argument("language")
    build.add_argument("folder", type=Path)
    build.add_argument("--name", default="")
    for name in ("check", "install"):
        actions.add_parser(name).add_argument("source", type=Path, help="a folder or ZIP")
    actions.add_parser("list")
    actions.add_parser("remove").add_argument("name")
    options = parser.parse_args(arguments)
    try:
        return _ACTIONS[options.action](options)
    except BadPromptSet as error:
        _refuse("\n".join(error.faults[:50]))
    except OSError as error:
        _refuse(error)
    return 1


def phrases(language: str) -> list[str]:
    """All that a set for the language should say."""
    found = {key_of(text): text for text in reversed([*sentences(language), *vocabulary(language)])}
    return list(reversed(found.values()))[:MAX_PHRASES]


def _build(options: argparse.Namespace) -> int:
    language = options.language
    if not has_grammar(language):
        _refuse(f"there are no phrases for {language}")
        return 1
    with tempfile.TemporaryDirectory(prefix="prompt-set-") as scratch:
        spoken = asyncio.run(_spoken(PromptStore(Path(scratch)), language))
        made = pack(options.folder, options.name or f"generated-{language.lower()}", language, spoken)
    _tell(_line(made))
    return 0


async def _spoken(store: PromptStore, language: str) -> list[tuple[str, Path]]:
    return [(text, await store.path_for(Prompt(speech=Speech(text=text, language=language)))) for text in phrases(language)]


def _check(options: argparse.Namespace) -> int:
    if options.source.is_dir():
        _tell(_line(load(options.source, thorough=True)))
        return 0
    with tempfile.TemporaryDirectory(prefix="prompt-set-") as scratch:
        _tell(_line(install(options.source, Path(scratch))))
    return 0


def _install(options: argparse.Namespace) -> int:
    _tell(_line(install(options.source, options.sets)))
    return 0


def _list(options: argparse.Namespace) -> int:
    for one in installed(options.sets):
        _tell(_line(one))
    return 0


def _remove(options: argparse.Namespace) -> int:
    if options.name not in {one.manifest.name for one in installed(options.sets)}:
        _refuse(f"no set {options.name} is installed")
        return 1
    remove(options.name, options.sets)
    return 0


_ACTIONS = {"build": _build, "check": _check, "install": _install, "list": _list, "remove": _remove}


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _refuse(reason: object) -> None:
    sys.stderr.write(f"{reason}\n")


def _line(one: PromptSet) -> str:
    lacks = [text for text in phrases(one.manifest.language) if key_of(text) not in one.files]
    told = f"{one.manifest.name}  {one.manifest.language}  {len(one.files)} phrases"
    if not lacks:
        return f"{told}, complete"
    shown = ", ".join(lacks[:SHOWN]) + (", ..." if len(lacks) > SHOWN else "")
    return f"{told}; the synthesiser says {len(lacks)} others: {shown}"


if __name__ == "__main__":
    raise SystemExit(main())
