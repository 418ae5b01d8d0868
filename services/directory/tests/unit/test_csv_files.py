"""CSV files: encodings, separators, languages, errors by line and column, and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import Department, Extension, Tenant, User
from carillon_contracts.languages import LANGUAGES
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import ApplyCompany
from carillon_directory.domain.csv_files.reading import Import, e164, read, separator_of, slug, text_of, unguarded
from carillon_directory.domain.csv_files.tables import TABLES
from carillon_directory.domain.csv_files.texts import TEXTS
from carillon_directory.domain.csv_files.writing import written
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted

USERS = TABLES["users"]


def config() -> TenantConfig:
    kinds: dict[str, dict[str, Any]] = {
        "tenant": {"acme": Tenant(id="acme", realm="acme.example", country="CH", language="fr")},
        "department": {"board": Department(id="board", display_name="Direction")},
        "user": {"ann": User(id="ann", last_name="Archer", email="ann@acme.example", function="CEO")},
        "extension": {"101": Extension.model_validate({"id": "101", "destination": {"user_id": "ann"}})},
    }
    return TenantConfig("acme", 4, kinds)


def users(text: str | bytes) -> Import:
    return read(USERS, text.encode() if isinstance(text, str) else text, config(), "en")


def errors(made: Import) -> list[tuple[int, str, str]]:
    return [(error.line, error.column, error.reason) for error in made.errors]


@pytest.mark.feature("D-20")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_encodings_and_separators_are_recognised(encoding: str, separator: str) -> None:
    text = "Prénom;Nom;E-mail\r\nÉlise;Moreau;elise@acme.example\r\n".replace(";", separator)
    made = users(text.encode(encoding))
    assert errors(made) == []
    assert made.documents["user"] == [{"id": "elise.moreau", "first_name": "Élise", "last_name": "Moreau", "email": "elise@acme.example"}]


@pytest.mark.feature("D-20")
@pytest.mark.parametrize(
    "header", ["last name,first name", "nom,prénom", "Nachname,Vorname", "achternaam,voornaam", "LAST_NAME,First-Name"]
)
def test_headers_are_known_in_four_languages(header: str) -> None:
    assert users(f"{header}\nMoreau,Élise\n").documents["user"][0]["last_name"] == "Moreau"


@pytest.mark.feature("D-20")
def test_every_error_is_told_by_line_and_column() -> None:
    made = users('last name;mobile;department;extension\nA;079 123 45 67;Direction;102\n;x;Cellar;103\n"B\nC";;;\nD;;;;;more\nA;;;\n')
    assert errors(made) == [
        (3, "last name", "is needed"),
        (3, "mobile", "is not a phone number"),
        (3, "department", "no department of that name"),
        (6, "", "the row has more cells than the header"),
    ]
    assert made.documents["user"][0] == {"id": "a", "last_name": "A", "mobile": "+41791234567", "department_id": "board"}
    assert made.documents["extension"] == [{"id": "102", "destination": {"user_id": "a"}}]
    assert [each["id"] for each in made.documents["user"]] == ["a", "b-c", "a-2"]


@pytest.mark.feature("D-20")
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", (1, "", "the file has no rows")),
        ("last name\n", (1, "", "the file has no rows")),
        ("first name\nAnn\n", (1, "last name", "the column is missing")),
        ("last name;last name\nA;B\n", (1, "last name", "the column stands twice")),
        ("last name\0\nA\n", (1, "", "the file is no CSV: NUL")),
        ("id;last name\nx;A\nx;B\n", (3, "id", "stands on line 2 already")),
    ],
)
def test_what_is_wrong_with_the_whole_file(text: str, error: tuple[int, str, str]) -> None:
    assert errors(users(text)) == [error]


def test_an_unknown_column_names_the_known_ones() -> None:
    ((line, column, reason),) = errors(users("last name;shoe size\nA;42\n"))
    assert (line, column) == (1, "shoe size")
    assert "last name" in reason


@pytest.mark.feature("D-20")
def test_columns_that_the_file_lacks_stay_and_empty_cells_empty() -> None:
    (document,) = users("id;last name;function\nann;Baxter;\n").documents["user"]
    assert document["last_name"] == "Baxter"
    assert document["email"] == "ann@acme.example"
    assert "function" not in document


@pytest.mark.feature("D-20")
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_written_is_taken_back_and_changes_nothing(language: Any) -> None:
    raw = b"".join(written(USERS, config(), language))
    assert raw.startswith(b"\xef\xbb\xbf")
    made = read(USERS, raw, config(), language)
    assert errors(made) == []
    decision = decide(config(), ApplyCompany(actor="x", documents=made.documents))
    assert isinstance(decision, Accepted)
    assert decision.changes == ()


@pytest.mark.feature("D-20")
def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    kinds = dict(config().resources)
    kinds["user"] = {"x": User(id="x", last_name="=cmd|' /C calc'!A0", mobile="+41791234567", title="@sum")}
    raw = b"".join(written(USERS, TenantConfig("acme", 5, kinds), "en")).decode("utf-8-sig")
    cells = raw.splitlines()[1].split(";")
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    (document,) = read(USERS, raw.encode(), config(), "en").documents["user"]
    assert (document["last_name"], document["mobile"]) == ("=cmd|' /C calc'!A0", "+41791234567")


def test_every_problem_is_told_in_every_language() -> None:
    for texts in TEXTS.values():
        assert set(texts) == set(LANGUAGES)
        assert len({text.count("{}") for text in texts.values()}) <= 2


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("021 555 01 00", "+41215550100"),
        ("0033 1 23 45 67 89", "+33123456789"),
        ("+41 (0)21 555 01 00", "+41215550100"),
        ("12", ""),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: str) -> None:
    assert e164(text, "CH") == number


def test_ids_are_plain() -> None:
    assert slug("Élise.Müller-Straße") == "elise.muller-strasse"
    assert slug("..") == ""
    assert unguarded("'+41") == "+41"
    assert unguarded("'s Gravenhage") == "'s Gravenhage"
    assert separator_of('"a,b";c') == ";"


@given(st.binary(max_size=300))
def test_no_file_breaks_the_reader(raw: bytes) -> None:
    text_of(raw)
    for table in TABLES.values():
        read(table, raw, config(), "de")


@given(st.text(max_size=200))
def test_no_row_breaks_the_reader(text: str) -> None:
    read(USERS, f"id;last name;mobile;extension;department\n{text}".encode(errors="replace"), config(), "nl")
