"""Sentences that the system says, a text file for each language: one a line, those with gaps in parts. With `saying.vocabulary` they are
what a prompt set says without the synthesiser."""

from importlib.resources import files

LANGUAGES = ("fr", "en", "de", "nl", "it")


def sentences(language: str) -> list[str]:
    """Of a language; of its dialects they are the same. None of a language that is not here."""
    base = language.split("-")[0]
    if base not in LANGUAGES:
        return []
    return (files(__name__) / f"{base}.txt").read_text("utf-8").splitlines()
