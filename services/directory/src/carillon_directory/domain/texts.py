"""What no text of a tenant may hold: control characters, which would break headers and are refused by Postgres, and no end."""

import re
from collections.abc import Iterator

from carillon_directory.domain.commands import Document
from carillon_directory.domain.outcomes import Violation

LONGEST_TEXT = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Spoken text may have lines.
_SPOKEN = "text"


def text_error(value: str, name: str = "") -> str:
    """Why the text cannot be taken for the field `name`; empty if it can."""
    if len(value) > LONGEST_TEXT:
        return f"is longer than {LONGEST_TEXT} characters"
    if _CONTROL.search(value.replace("\n", " ") if name == _SPOKEN else value):
        return "holds control characters"
    return ""


def violations(document: Document) -> Iterator[Violation]:
    """Every text in the document that cannot be taken."""
    yield from _in(document, "", "")


def _in(value: object, name: str, path: str) -> Iterator[Violation]:
    if isinstance(value, str):
        if reason := text_error(value, name):
            yield Violation(path, reason)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and len(inner) <= LONGEST_TEXT and not _CONTROL.search(inner):
                continue
            yield from _in(inner, key, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _in(inner, name, f"{path}[{index}]")
