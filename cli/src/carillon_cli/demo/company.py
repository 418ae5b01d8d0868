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
        known |= {name: secrets.token_hex(8) for name in missing}
        write_private(kept, known)
    filled = [{**credential, "password": known[str(credential["id"])]} for credential in data.get("sip_credentials", ())]
    return {**data, "sip_credentials": filled}


def load(kept: Path) -> dict[str, Any]:
    """The company as JSON by section, ready for `company.request`."""
    _, data = company.load(text(), NAME)
    return with_passwords(data, kept)


def realm() -> str:
    """Its SIP domain."""
    _, data = company.load(text(), NAME)
    return str(data["tenant"]["realm"])


#: What the demo shortens, so that nobody waits for a phone that will not be answered: (section, id, field) -> seconds.
SHORTER: Mapping[tuple[str, str, str], int] = {
    ("users", "alain", "ring_seconds"): 10,
    ("ring_groups", "support", "timeout_seconds"): 10,
    ("ring_groups", "sales", "timeout_seconds"): 10,
    ("ring_groups", "on-call", "timeout_seconds"): 10,
    ("mailboxes", "main", "silence_seconds"): 2,
}
SHORTEST_MEMBER = 5


def shortened(data: Mapping[str, Any], carrier: str) -> dict[str, Any]:
    """The company with the shortest ringing times allowed and its carrier at `carrier` (host:port); credentials stay as they are."""
    found: dict[str, Any] = {
        section: [dict(item) for item in value] if isinstance(value, list) else value
        for section, value in data.items()
        if section != "sip_credentials"
    }
    for (section, wanted, field), seconds in SHORTER.items():
        for item in found[section]:
            if item["id"] == wanted:
                item[field] = seconds
    for group in found["ring_groups"]:
        group["members"] = [
            {**member, "ring_seconds": SHORTEST_MEMBER} if "ring_seconds" in member else member for member in group["members"]
        ]
    found["trunks"] = [{**trunk, "address": carrier} for trunk in found["trunks"]]
    return found
