from pathlib import Path

import pytest

from carillon_cli.errors import CliError
from carillon_cli.supervisor.secrets import Secrets, read_json, write_private

pytestmark = pytest.mark.feature("P-4")


def test_a_secret_stays_the_same_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = Secrets(path).get("token_key")
    assert Secrets(path).get("token_key") == first
    assert len(first) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_differ(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets.json")
    assert secrets.get("a") != secrets.get("b")


def test_a_damaged_file_is_not_replaced_by_new_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{")
    with pytest.raises(CliError, match="cannot be read"):
        Secrets(path)
    assert path.read_text() == "{"


def test_nothing_is_left_beside_a_written_file(tmp_path: Path) -> None:
    write_private(tmp_path / "run.json", {"version": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert read_json(tmp_path / "run.json") == {"version": 1}
