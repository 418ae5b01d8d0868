"""`carillon prompt-sets`: recorded voices in place of the synthesiser's: make a set to begin from, check, install, list, remove."""

import argparse
import subprocess
import sys
from pathlib import Path

from carillon_cli.errors import CliError
from carillon_cli.supervisor.layout import DEFAULT_DATA

ACTIONS = {
    "build": ("LANGUAGE", "FOLDER"),
    "check": ("FOLDER_OR_ZIP",),
    "install": ("FOLDER_OR_ZIP",),
    "list": (),
    "remove": ("NAME",),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon prompt-sets`."""
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("what", nargs="*", help="; ".join(f"{name} {' '.join(needs)}" for name, needs in ACTIONS.items() if needs))
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="data folder of the system (default: .carillon)")
    parser.add_argument("--sets", type=Path, metavar="DIR", help="where a media node has its sets (default: DATA/media/prompt-sets)")


def run(options: argparse.Namespace) -> int:
    """Media's own tool does it."""
    needs = ACTIONS[options.action]
    if len(options.what) != len(needs):
        raise CliError(f"{options.action} takes {' '.join(needs) or 'nothing more'}")
    sets = options.sets or options.data / "media" / "prompt-sets"
    command = [sys.executable, "-m", "carillon_media.prompt_set_tool", "--sets", str(sets), options.action, *options.what]
    return subprocess.run(command, check=False).returncode
