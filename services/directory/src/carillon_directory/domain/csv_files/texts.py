"""What is said about a CSV file, in four languages."""

from collections.abc import Mapping
from typing import Literal

from carillon_contracts.languages import Language

Problem = Literal[
    "empty", "too_many_rows", "not_text", "unknown_column", "column_twice", "missing_column", "too_many_cells", "needed", "not_a_number",
    "not_a_date", "not_a_phone_number", "not_a_mac", "unknown", "twice", "taken", "too_long", "one_of", "wrong",
]  # fmt: skip

#: `{}` is filled with what the problem is about.
TEXTS: Mapping[Problem, Mapping[Language, str]] = {
    "empty": {
        "en": "the file has no rows",
        "fr": "le fichier ne contient aucune ligne",
        "de": "die Datei enthält keine Zeilen",
        "nl": "het bestand bevat geen rijen",
    },
    "too_many_rows": {
        "en": "more than {} rows",
        "fr": "plus de {} lignes",
        "de": "mehr als {} Zeilen",
        "nl": "meer dan {} rijen",
    },
    "not_text": {
        "en": "the file is no CSV: {}",
        "fr": "le fichier n’est pas du CSV : {}",
        "de": "die Datei ist kein CSV: {}",
        "nl": "het bestand is geen CSV: {}",
    },
    "unknown_column": {
        "en": "there is no such column; known are {}",
        "fr": "colonne inconnue ; sont connues {}",
        "de": "unbekannte Spalte; bekannt sind {}",
        "nl": "onbekende kolom; bekend zijn {}",
    },
    "column_twice": {
        "en": "the column stands twice",
        "fr": "la colonne figure deux fois",
        "de": "die Spalte steht zweimal da",
        "nl": "de kolom staat er twee keer",
    },
    "missing_column": {
        "en": "the column is missing",
        "fr": "la colonne manque",
        "de": "die Spalte fehlt",
        "nl": "de kolom ontbreekt",
    },
    "too_many_cells": {
        "en": "the row has more cells than the header",
        "fr": "la ligne a plus de cellules que l’en-tête",
        "de": "die Zeile hat mehr Zellen als die Kopfzeile",
        "nl": "de rij heeft meer cellen dan de kop",
    },
    "needed": {"en": "is needed", "fr": "est obligatoire", "de": "ist nötig", "nl": "is verplicht"},
    "not_a_number": {"en": "is not a number", "fr": "n’est pas un nombre", "de": "ist keine Zahl", "nl": "is geen getal"},
    "not_a_date": {
        "en": "is not a date (2026-12-31)",
        "fr": "n’est pas une date (31.12.2026)",
        "de": "ist kein Datum (31.12.2026)",
        "nl": "is geen datum (31-12-2026)",
    },
    "not_a_phone_number": {
        "en": "is not a phone number",
        "fr": "n’est pas un numéro de téléphone",
        "de": "ist keine Telefonnummer",
        "nl": "is geen telefoonnummer",
    },
    "not_a_mac": {
        "en": "is not a MAC address",
        "fr": "n’est pas une adresse MAC",
        "de": "ist keine MAC-Adresse",
        "nl": "is geen MAC-adres",
    },
    "unknown": {"en": "no {} of that name", "fr": "aucun {} de ce nom", "de": "kein {} dieses Namens", "nl": "geen {} met die naam"},
    "twice": {
        "en": "stands on line {} already",
        "fr": "figure déjà à la ligne {}",
        "de": "steht schon in Zeile {}",
        "nl": "staat al op regel {}",
    },
    "taken": {"en": "is in use: {}", "fr": "est déjà utilisé : {}", "de": "ist vergeben: {}", "nl": "is in gebruik: {}"},
    "too_long": {
        "en": "is longer than {} characters",
        "fr": "dépasse {} caractères",
        "de": "ist länger als {} Zeichen",
        "nl": "is langer dan {} tekens",
    },
    "one_of": {"en": "must be one of {}", "fr": "doit être l’un de {}", "de": "muss eines von {} sein", "nl": "moet een van {} zijn"},
    "wrong": {"en": "{}", "fr": "n’est pas valable : {}", "de": "ist nicht gültig: {}", "nl": "is niet geldig: {}"},
}


def told(problem: Problem, language: Language, about: str = "") -> str:
    """The sentence."""
    return TEXTS[problem][language].format(about)
