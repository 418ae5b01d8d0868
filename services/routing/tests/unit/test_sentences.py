"""Every sentence of a trace is in every language's file, with the same values; and is recognised by its words."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import carillon_routing
from carillon_contracts.languages import LANGUAGES, Language
from carillon_routing.adapters.sentences import library
from carillon_routing.domain.sentences import AS_WRITTEN, MAX_TEXT, SHAPES, Table, Teller, shape_of

pytestmark = pytest.mark.feature("R-20")
PLACE = re.compile(r"\{(\w+)\}")
ENGLISH = library().books["en"].tables
HOME = Path(carillon_routing.__file__).parent
TOLD: tuple[Table, ...] = ("reasons", "subjects", "ways")
#: What a value of this name may be; others are `x7`.
SAMPLES = {
    "who": "user/anna", "other": "plan/p node n", "trunk": "trunk/t", "queue": "queue/q", "others": "user/anna, user/ben",
    "target": "+41791112233 by trunk/t", "result": "busy", "end": "busy", "left": "full", "passes": "never", "reach": "both",
    "ordinal": "second", "moment": "Tue 2026-01-06 10:15 Europe/Zurich", "range": "08:00-12:00, 13:00-18:00", "date": "2026-12-24",
    "classes": "international and premium", "number": "+41215550100", "value": "'it is'", "country": "CH", "why": "is on", "day": "Tue",
}  # fmt: skip


def sample(name: str) -> str:
    plain = name.rstrip("0123456789")
    found = SAMPLES.get(name) or SAMPLES.get(plain) or ("7" if re.fullmatch(shape_of(name), "7") else "x")
    assert re.fullmatch(shape_of(name), found, re.DOTALL), name
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence_with_the_same_values(language: Language) -> None:
    tables = library().books[language].tables
    assert tables.keys() == ENGLISH.keys()
    for table, templates in ENGLISH.items():
        assert tables[table].keys() == templates.keys(), table
        for key, template in templates.items():
            assert sorted(PLACE.findall(tables[table][key])) == sorted(PLACE.findall(template)), f"{language} {table}.{key}"
            assert tables[table][key].strip(), f"{language} {table}.{key}"


@pytest.mark.parametrize("table", TOLD)
def test_every_sentence_is_recognised_as_what_it_is_with_the_values_it_saw(table: Table) -> None:
    for kind, template in ENGLISH[table].items():
        values = {name: sample(name) for name in PLACE.findall(template)}
        found = library().recognise(table, template.format(**values))
        assert (found.kind, dict(found.values)) == (kind, values)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_left_with_a_gap_or_with_english_words_for_what_is_known(language: Language) -> None:
    teller = Teller(library(), language, lambda kind, name: "Anna Dumas" if (kind, name) == ("user", "anna") else "")
    for table in TOLD:
        for template in ENGLISH[table].values():
            told = teller.told(table, template.format(**{name: sample(name) for name in PLACE.findall(template)}))
            assert "{" not in told
            assert "user/anna" not in told
    assert "Anna Dumas" in teller.told("reasons", "the outcome was busy; user/anna is rung now")
    glue = {"en": "or", "de": "oder", "fr": "ou", "nl": "of"}[language]
    assert f" CH {glue} FR" in teller.told("reasons", "an emergency number of CH or FR: always allowed")


def test_what_is_not_known_is_told_as_it_is_written() -> None:
    teller = Teller(library(), "de", lambda kind, name: "")
    for text in ("wholly unknown words", "x" * (MAX_TEXT + 1), "{result}", "the outcome was {result}"):
        assert library().recognise("reasons", text).kind == AS_WRITTEN
        assert teller.told("reasons", text) == text


# -- the code itself ---------------------------------------------------------------------------------------------------

#: Modules whose words go into traces.
WRITERS = (*sorted((HOME / "domain").glob("*.py")), HOME / "handlers/queue_calls.py")
#: Those that say other things.
OTHERS = {
    "asks",
    "sentences",
    "explain",
    "feature_phrases",
    "made_of",
    "cursor",
    "causes",
    "simulate",
    "assumed",
    "assumed_facts",
    "plan_tests",
    "comparison",
    "replay",
    "emergencies",
    "findings",
}
#: Words of calls that write no trace.
_ELSEWHERE = {"HangUp", "derived", "get_logger", "rank", "warning", "error", "BadOutcome", "AssertionError", "ValueError", "compile"}
#: What comes before a value: the kind of a resource, a feature.
_NAMES = re.compile(r"\b[a-z_]+/$|^feature [a-z_]+")
_GLUE = re.compile(r"[A-Za-z']{2,} +[A-Za-z']{2,}")


class _Texts(ast.NodeVisitor):
    """Pieces of at least two words that a module writes, without its docstrings and what it raises."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called: Any = node.func
        if (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) not in _ELSEWHERE:
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _GLUE.search(node.value):
            self.found.append((node.lineno, node.value))


def test_every_word_that_routing_writes_into_a_trace_is_in_the_file() -> None:
    """A new reason needs its line in `sentences/*.toml`."""
    known = "\n".join([*(PLACE.sub("\0", each) for table in TOLD for each in ENGLISH[table].values()), *SHAPES.values()])
    missing = []
    for path in WRITERS:
        if path.stem in OTHERS:
            continue
        texts = _Texts()
        texts.visit(ast.parse(path.read_text()))
        missing += [f"{path.name}:{line}: {text!r}" for line, text in texts.found if _NAMES.sub("", text).strip(" ;,:()") not in known]
    assert not missing, "\n".join(missing)
