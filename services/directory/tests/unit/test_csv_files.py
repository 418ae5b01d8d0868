"""CSV files: encodings, separators, languages, errors by line and column, and back."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.config import RESOURCES, Contact, Department, Extension, Number, RingGroup, Tenant, User
from carillon_contracts.languages import LANGUAGES, Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import ApplyCompany
from carillon_directory.domain.csv_files.reading import (
    Import,
    e164,
    exceeding,
    listed,
    located,
    reading,
    separator_of,
    slug,
    text_of,
    unguarded,
)
from carillon_directory.domain.csv_files.tables import TABLES, Table
from carillon_directory.domain.csv_files.texts import TEXTS
from carillon_directory.domain.csv_files.writing import written
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted, Exceeded, Invalid

USERS = TABLES["users"]


def config() -> TenantConfig:
    kinds: dict[str, dict[str, Any]] = {
        "tenant": {"acme": Tenant(id="acme", realm="acme.example", country="CH", language="fr")},
        "department": {"board": Department(id="board", display_name="Direction")},
        "user": {"ann": User(id="ann", last_name="Archer", email="ann@acme.example", function="CEO")},
        "extension": {"101": Extension.model_validate({"id": "101", "destination": {"user_id": "ann"}})},
    }
    return TenantConfig("acme", 4, kinds)


def read(table: Table, raw: bytes, config: TenantConfig, language: Language) -> Import:
    made = Import()
    for _ in reading(table, raw, config, language, made):
        pass
    return made


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
    assert made.documents["extension"][0] == {"id": "102", "destination": {"user_id": "a"}}
    assert [each["id"] for each in made.documents["user"]] == ["a", "row", "b-c", "a-2"]


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


def whole_of(config: TenantConfig, table: str, text: str, language: Any = "fr") -> list[tuple[int, str, str]]:
    """Everything that is wrong with a file, by whatever finds it."""
    made = read(TABLES[table], text.encode(), config, language)
    decision = decide(config, ApplyCompany(actor="x", documents=made.documents, short_numbers=True))
    plural = {model.PLURAL: kind for kind, model in RESOURCES.items()}
    refused = decision.violations if isinstance(decision, Invalid) else ()
    others = [located(made, each.field, each.reason, plural, language) for each in refused]
    if isinstance(decision, Invalid | Exceeded):
        for _, reason in decision.excesses:
            kind = TABLES[table].kind.KIND
            others.append(exceeding(made, kind, config.resources.get(kind, {}), config.tenant.subscription.users, reason, language))
    return [(error.line, error.column, error.reason) for error in listed(made, others)]


@pytest.mark.feature("D-20")
def test_what_reading_and_the_log_find_is_listed_together_in_the_user_s_language() -> None:
    kinds = dict(config().resources)
    kinds["user"] = {"ann": User(id="ann", last_name="Archer", login="ann")}
    kinds["tenant"] = {"acme": Tenant.model_validate({"id": "acme", "realm": "a.example", "subscription": {"users": 3}})}
    text = (
        "nom;login;extension;e-mail;mobile;service\n"
        "A;ann;101;;;\n"
        "B;b;101b;personne;12;Cave\n"
        "C;b;102;c@acme.example;;Direction\n"
        "D;d;102;;;\n"
        f"{'E' * 300};e;;;;\n"
        "F;f;;;;\n"
    )
    assert whole_of(TenantConfig("acme", 4, kinds), "users", text) == [
        (2, "login", "ann est déjà pris par l’utilisateur ann"),
        (2, "extension", "est déjà utilisé : ann"),
        (3, "extension", "n’a pas la forme attendue"),
        (3, "e-mail", "n’a pas la forme attendue"),
        (3, "mobile", "n’est pas un numéro de téléphone"),
        (3, "service", "aucun service de ce nom"),
        (4, "", "3 ont été achetés, il y en aurait 5"),
        (5, "extension", "102 figure deux fois"),
        (6, "nom", "dépasse 100 caractères"),
    ]


@pytest.mark.feature("D-20")
def test_what_is_taken_away_by_a_cell_that_cannot_be_read_is_blamed_on_the_cell_alone() -> None:
    text = "numéro;mène à\nabc;ann\n021 555 01 00;Personne\n"
    assert whole_of(config(), "numbers", text) == [
        (2, "numéro", "n’est pas un numéro de téléphone"),
        (3, "mène à", "aucun mène à de ce nom"),
    ]


@pytest.mark.feature("D-20")
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_log_says_of_rows_is_told_in_every_language(language: Any) -> None:
    """Each reason is one that the log gives; in other languages than its own none is quoted."""
    contacts = "nom;société;téléphone;numéro court;e-mail\n;;021 555 01 01;;\nA;;;77;\nB;;021 555 01 01;101;\nC;;;;x y\n"
    devices = "MAC;type\n00:11:22:33:44:55;poste\n"
    codes = "code;numéro\nx;021 555 01 01\n7;021 555 01 01\n7;021 555 01 02\n"
    found = [
        error
        for table, text in (("contacts", contacts), ("devices", devices), ("short_codes", codes))
        for error in whole_of(config(), table, text, language)
    ]
    assert len(found) >= 7
    quoted = TEXTS["wrong"][language].split("{}")[0]
    assert not [reason for _, _, reason in found if quoted and reason.startswith(quoted)]
    assert language == "en" or not [reason for _, _, reason in found if re.search("should|is taken|needed", reason)]


@pytest.mark.feature("D-20")
def test_a_long_file_tells_how_far_it_is() -> None:
    rows = "".join(f"Name {number}\n" for number in range(2500))
    made = Import()
    assert list(reading(USERS, f"nom\n{rows}".encode(), config(), "fr", made)) == [1000, 2000, 2500]
    assert len(made.documents["user"]) == 2500


@pytest.mark.feature("D-20")
@pytest.mark.timeout(100)
def test_rows_that_are_called_alike_are_told_apart_however_many() -> None:
    count = 50_000
    made = read(USERS, f"nom\n{chr(10).join(['Name'] * count)}\n".encode(), config(), "fr")
    assert [each["id"] for each in made.documents["user"]] == ["name", *(f"name-{number}" for number in range(2, count + 1))]


@pytest.mark.feature("D-20")
def test_numbers_lead_where_they_led_and_contacts_are_whose_they_were() -> None:
    destinations: list[dict[str, Any] | None] = [
        None,
        {"user_id": "ann"},
        {"ring_group_id": "sales"},
        {"external_number": "+41795550100"},
        {"operator": True},
        {"hang_up": "busy"},
        {"announcement": {"text": "Closed.", "language": "en"}},
    ]
    kinds: dict[str, dict[str, Any]] = {kind: dict(every) for kind, every in config().resources.items()}
    kinds["ring_group"] = {"sales": RingGroup.model_validate({"id": "sales", "members": [{"user_id": "ann"}]})}
    numbers = [Number.model_validate({"id": f"+4121555010{place}", "destination": each}) for place, each in enumerate(destinations)]
    kinds["number"] = {each.id: each for each in numbers}
    mine = {"id": "ann.friend", "last_name": "Friend", "owner_user_id": "ann"}
    kinds["contact"] = {"friend": Contact(id="friend", last_name="Friend"), "ann.friend": Contact.model_validate(mine)}
    kinds["extension"] |= {"401": Extension.model_validate({"id": "401", "destination": {"user_id": "ann"}, "number_id": "+41215550101"})}
    there = TenantConfig("acme", 4, kinds)
    for name in ("users", "numbers", "contacts"):
        table = TABLES[name]
        raw = b"".join(written(table, there, "fr"))
        made = read(table, raw, there, "fr")
        assert errors(made) == []
        decision = decide(there, ApplyCompany(actor="x", documents=made.documents, short_numbers=True))
        assert isinstance(decision, Accepted)
        assert decision.changes == ()
    moved = read(TABLES["numbers"], b"number;leads to\n021 555 01 00;ring_group/sales\n021 555 01 01;\n021 555 01 02;Archer\n", there, "en")
    assert [each.get("destination") for each in moved.documents["number"]] == [{"ring_group_id": "sales"}, None, {"user_id": "ann"}]
    own = read(TABLES["contacts"], b"last name;owner\nFriend;ann\nFriend;\nFriend;nobody\n", there, "en")
    assert [(each["id"], each.get("owner_user_id")) for each in own.documents["contact"]] == [
        ("ann.friend", "ann"),
        ("friend", None),
        ("friend-2", None),
    ]
    assert errors(own) == [(4, "owner", "no owner of that name")]


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
