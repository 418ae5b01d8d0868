"""The sentences of explanations, read from their files once."""

import tomllib
from functools import cache
from importlib.resources import files

from carillon_contracts.languages import LANGUAGES, Language
from carillon_routing.domain.sentences import Book, Library, patterns_of


@cache
def library() -> Library:
    """Every language; slow the first time, so never first on the loop that answers media."""
    place = files("carillon_routing.sentences")
    found: dict[Language, Book] = {}
    for language in LANGUAGES:
        tables = tomllib.loads(place.joinpath(f"{language}.toml").read_text("utf-8"))
        found[language] = Book({name: table for name, table in tables.items() if isinstance(table, dict)})
    return Library(found, patterns_of(found["en"]))
