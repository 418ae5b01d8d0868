from pathlib import Path

import pytest

from carillon_cli import company
from carillon_cli.demo import company as dupont
from carillon_contracts.config import RingGroup

pytestmark = pytest.mark.feature("P-6")


def test_the_shipped_company_is_without_mistakes() -> None:
    _, data = company.load(dupont.text(), dupont.NAME)
    assert company.request(data).tenant.id == "dupont"


def test_passwords_are_made_once(tmp_path: Path) -> None:
    kept = tmp_path / "demo-credentials.json"
    first, again = dupont.load(kept), dupont.load(kept)
    assert first == again
    passwords = [credential["password"] for credential in first["sip_credentials"]]
    assert len(set(passwords)) == len(passwords) == 6
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_shortened_company_is_still_one_and_touches_no_password(tmp_path: Path) -> None:
    short = dupont.shortened(dupont.load(tmp_path / "kept.json"), "127.0.0.2:40000")
    assert "sip_credentials" not in short
    assert short["trunks"][0]["address"] == "127.0.0.2:40000"
    for group in short["ring_groups"]:
        assert RingGroup.model_validate(group).timeout_seconds == 10
    company.request(short)


def test_shortening_leaves_the_original_alone(tmp_path: Path) -> None:
    data = dupont.load(tmp_path / "kept.json")
    before = repr(data)
    dupont.shortened(data, "127.0.0.2:40000")
    assert repr(data) == before
