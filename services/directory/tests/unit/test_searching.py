"""Search indexes as they are kept."""

import asyncio
from threading import Event
from typing import Any

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_directory import searching
from carillon_directory.domain.commands import CreateResource
from carillon_directory.domain.search import SearchIndex
from carillon_directory.handlers import Directory, Executed, TenantStates
from carillon_directory.testing import MemoryTenantLog, company_command
from carillon_kit.clock import SystemClock
from carillon_kit.ids import SequenceIds

_whole = searching._made


@pytest.mark.feature("D-21")
async def test_an_index_that_nobody_waited_for_is_kept_and_made_once(company: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryTenantLog(SystemClock(), SequenceIds())
    directory = Directory(log, TenantStates(log))
    assert isinstance(await directory.execute("acme", company_command(company)), Executed)
    begun, go, made = Event(), Event(), list[int]()

    def slow(config: TenantConfig) -> SearchIndex:
        begun.set()
        made.append(config.seq)
        assert go.wait(30)
        return _whole(config)

    monkeypatch.setattr(searching, "_made", slow)
    searches = searching.Searches(directory, log)
    for _ in range(3):
        asked = asyncio.create_task(searches.index("acme"))
        assert await asyncio.to_thread(begun.wait, 30)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
    late = CreateResource(actor="x", kind="user", document={"id": "zoe", "last_name": "Quillfeather"})
    assert isinstance(await directory.execute("acme", late), Executed)
    go.set()
    found = await searches.index("acme")
    assert found is not None
    assert [each.resource_id for each in found[0].find("quillfeather", 5)[0]] == ["zoe"]
    assert len(made) == 1
