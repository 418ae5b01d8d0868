"""Dupont SA as the demo loads it: the shipped YAML file, with passwords that are made once and kept.

Always: loading it again with the same kept passwords changes nothing.
"""

import secrets
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from carillon_cli import company
from carillon_cli.supervisor.secrets import read_json, write_private

NAME = "dupont.yaml"


def text() -> str:
    """The shipped file."""
    return files("carillon_cli.demo").joinpath(NAME).read_text(encoding="utf-8")


def with_passwords(data: Mapping[str, Any], kept: Path) -> dict[str, Any]:
    """The company with a password for each credential; what is new is added to the file `kept`."""
    known: dict[str, str] = read_json(kept)
    wanted = [str(credential["id"]) for credential in data.get("sip_credentials", ())]
    missing = [name for name in wanted if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(12) for name in missing}
        write_private(kept, known)
    filled = [{**credential, "password": known[str(credential["id"])]} for credential in data.get("sip_credentials", ())]
    return {**data, "sip_credentials": filled}


def load(kept: Path) -> dict[str, Any]:
    """The company as JSON by section, ready for `company.request`."""
    _, data = company.load(text(), NAME)
    return with_passwords(data, kept)
