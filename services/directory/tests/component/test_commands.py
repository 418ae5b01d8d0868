"""The commands that show and take every kind of resource, on a company that has one of each at least."""

import asyncio
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carillon_cli import company, main
from carillon_contracts.config import OUTPUT_ONLY, RESOURCES, Tenant
from carillon_kit.auth import OPERATOR, issue_token

from ..unit.test_every_kind import EVERY  # noqa: TID252
from .conftest import KEY

pytestmark = pytest.mark.feature("P-6")
Run = Callable[..., Any]
KINDS = [model for model in RESOURCES.values() if model is not Tenant]


@pytest.fixture
def carillon(port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a thread; what it printed, and how it ended."""
    grpc = {"directory": f"127.0.0.1:{port}"}
    run = {"version": 1, "admin_token": issue_token(KEY, "operator", None, [OPERATOR]), "grpc": grpc, "tenants": {"acme": {}}}
    (tmp_path / "run.json").write_text(json.dumps(run))

    async def carillon(*arguments: str, ends: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main.main, [*arguments, "--data", str(tmp_path)])
        told = capsys.readouterr()
        assert ended.value.code == ends, told.err
        return told.out

    return carillon


def read(text: str) -> dict[str, Any]:
    return company.normal(company.load(text, "told.yaml")[1])


@pytest.mark.feature("D-20", "D-22")
async def test_every_kind_is_listed_shown_compared_exported_and_applied_as_it_is(carillon: Run, tmp_path: Path) -> None:
    every = copy.deepcopy(EVERY)
    every["trunk_credentials"] = [{"id": "account", "username": "4121", "password": "correct-horse"}]
    file = tmp_path / "every.yaml"
    file.write_text(company.written(every))
    wanted = read(company.written(every))
    assert set(wanted) == {"tenant", *(model.PLURAL for model in KINDS)}
    made = (await carillon("apply", str(file))).splitlines()

    exported = await carillon("export", "--tenant", "acme")
    assert read(exported) == wanted
    (tmp_path / "exported.yaml").write_text(exported)
    assert "holds all of it already" in await carillon("apply", "--prune", str(tmp_path / "exported.yaml"))

    version = exported.splitlines()[0].split()[-1]
    compared = (await carillon("diff", "1", ends=1)).splitlines()
    told = f"tenant: {json.dumps(every['tenant'])}\n"
    for model in KINDS:
        ids = [each["id"] for each in wanted[model.PLURAL]]
        listed = await carillon("list", model.PLURAL)
        assert [line.split()[0] for line in listed.splitlines()[1:]] == ids
        told += await carillon("list", model.KIND.replace("_", "-"), "--yaml", "--as-of", version)
        for name in ids:
            assert f"+ {model.KIND} {name}" in made
            assert f"+ {model.KIND} {name}" in compared
        shown = await carillon("get", model.KIND, ids[0])
        assert read(f"{told.splitlines()[0]}\n{company.written({model.PLURAL: [company.parse(shown, 'shown').data]})}") == {
            "tenant": wanted["tenant"],
            model.PLURAL: wanted[model.PLURAL][:1],
        }
        assert not OUTPUT_ONLY & set(company.parse(shown, "shown").data)
    assert read(told) == wanted, "as one file, what the lists say is the company"


ABOVE = """
resellers:
  - {id: riviera, display_name: Riviera, max_tenants: 3}
tenants:
  - {id: bonnard, realm: bonnard.example, reseller_id: riviera, limits: {max_calls: 4}}
  - {id: cosset, realm: cosset.example}
"""


@pytest.mark.feature("D-24")
async def test_tenants_and_resellers_are_listed_changed_and_told_of(carillon: Run, tmp_path: Path) -> None:
    file = tmp_path / "above.yaml"

    async def applied(text: str, *more: str, ends: int = 0) -> list[str]:
        file.write_text(text)
        return (await carillon("tenants", "--apply", str(file), *more, ends=ends)).splitlines()  # type: ignore[no-any-return]

    made = ["+ reseller riviera", "+ tenant bonnard", "+ tenant cosset"]
    assert await applied(ABOVE, "--dry-run") == [*made, "3 resources would change"]
    assert await applied(ABOVE, "--reason", "they begin") == [*made, "3 resources changed"]
    assert await applied(ABOVE) == ["the installation holds all of it already"]
    assert "cosset" in await carillon("tenants")
    listed = await carillon("tenants", "--filter", "reseller_id = riviera")
    assert [line.split() for line in listed.splitlines()[1:]] == [["bonnard", "bonnard.example", "riviera"]]
    assert [line.split() for line in (await carillon("tenants", "--resellers")).splitlines()[1:]] == [["riviera", "Riviera", "3"]]

    changed = ABOVE.replace("{max_calls: 4}", "{}").replace("Riviera", "''").replace("  - {id: cosset, realm: cosset.example}\n", "")
    told = await applied(f"{changed}gone: {{tenants: [cosset]}}\n")
    assert told == ["~ reseller riviera (display_name)", "~ tenant bonnard (limits)", "- tenant cosset", "3 resources changed"]
    past = (await carillon("tenants", "--history", "cosset")).splitlines()
    assert [("deleted" in line, "they begin" in line) for line in past[1:]] == [(True, False), (False, True)]
    assert len((await carillon("tenants", "--resellers", "--history", "riviera")).splitlines()) == 3
    assert "cosset" not in await carillon("tenants")
    assert "cosset" not in await carillon("tenants", "--as-of", "2001-01-01T00:00")

    for wrong in ("tenants: [{id: x}]\n", "tenant: {}\n", "gone: {tenants: x}\n", "gone: {users: [x]}\n", "tenants: []\n", "- x\n"):
        assert await applied(wrong, ends=1) == []
