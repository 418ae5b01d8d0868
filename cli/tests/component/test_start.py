"""What `carillon up` says when one of its servers cannot be had."""

from pathlib import Path

import pytest

from carillon_cli.commands import up
from carillon_cli.errors import CliError
from carillon_cli.supervisor import assembly
from carillon_cli.supervisor.layout import Options, free_ports

pytestmark = pytest.mark.feature("P-4")


async def refusal(folder: Path) -> CliError:
    with pytest.raises(CliError) as refused:
        await up.serve(Options(folder, "127.0.0.1", "127.0.0.1", free_ports("127.0.0.1"), quiet=True))
    return refused.value


@pytest.mark.parametrize(
    ("variable", "url"), [("CARILLON_NATS_URL", "nats://127.0.0.1:1"), ("CARILLON_POSTGRES_DSN", "postgresql://a:b@127.0.0.1:1/c")]
)
async def test_a_server_of_others_that_does_not_answer_is_named(
    variable: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)
    monkeypatch.setattr(assembly, "REACH_SECONDS", 0.3)
    told = await refusal(tmp_path)
    assert variable in str(told)
    assert "Unset" in told.hint


async def test_a_database_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    told = await refusal(tmp_path)
    assert "postgres cannot start" in str(told)
    assert "could not access" in str(told)
    assert str(tmp_path / "log") in told.hint
    assert not (tmp_path / "run.json").exists()
