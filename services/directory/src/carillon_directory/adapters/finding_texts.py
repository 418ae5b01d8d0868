"""What is said of findings, read from the languages' files once."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from carillon_contracts.languages import Language
from carillon_directory.domain.finding import Finding


@cache
def texts(language: Language) -> Mapping[str, Mapping[str, str]]:
    """`reason` and `mend` of every kind."""
    return tomllib.loads(files("carillon_directory.findings").joinpath(f"{language}.toml").read_text("utf-8"))


def told(finding: Finding, language: Language) -> tuple[str, str]:
    """What is odd, and how to mend it."""
    said = texts(language)[finding.kind]
    return said["reason"].format(**finding.values), said["mend"]
