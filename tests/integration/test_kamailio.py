"""Kamailio between phones and Carillon with the configuration that we ship."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from carillon_cli.phone.baresip import Account, Baresip
from strangers.kamailio import kamailio, needs_kamailio
from strangers.phones import holds
from strangers.sipp import Sipp, credentials, register
from strangers.system import System

pytestmark = [needs_kamailio, pytest.mark.feature("M-1")]

EDGE_CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/kamailio/kamailio.cfg"
EDGE_HOST = "127.0.0.3"
ALAIN_HZ, ELISE_HZ = 700, 1300
Edge = tuple[str, int]


@pytest.fixture(scope="module")
def edge(system: System) -> Iterator[Edge]:
    """The edge of deploy/kamailio before the running system's one node."""
    host, port = system.sip
    nodes = {"nodes.list": f"1 sip:{host}:{port}\n"}
    with kamailio(EDGE_CONFIGURATION, EDGE_HOST, nodes, 'NODES="{folder}/nodes.list"', "PING_SECONDS=1") as address:
        yield address


@asynccontextmanager
async def phone(system: System, edge: Edge, extension: str, hz: int, transport: Literal["udp", "tcp"]) -> AsyncIterator[Baresip]:
    """baresip, which knows the edge alone."""
    user = system.user(extension)
    one = await Baresip.start(Path(tempfile.mkdtemp(prefix="baresip-")), hz)
    try:
        await one.register(Account(user["sip_user"], user["sip_password"], system.tenant["realm"], edge, transport))
        yield one
    finally:
        await one.stop()
        one.forget()


@pytest.mark.parametrize(("transport", "who_hangs_up"), [("udp", "caller"), ("tcp", "callee")])
async def test_phones_behind_the_edge_hear_each_other(
    system: System, edge: Edge, transport: Literal["udp", "tcp"], who_hangs_up: str
) -> None:
    known = system.call_ids()
    async with phone(system, edge, "102", ALAIN_HZ, transport) as alain, phone(system, edge, "106", ELISE_HZ, transport) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        await holds(lambda: alain.heard().tone_seconds(ELISE_HZ) >= 1, "Alain hears Élise")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain")
        await (alain if who_hangs_up == "caller" else elise).command("hangup")
        await (elise if who_hangs_up == "caller" else alain).until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["ended_by"]) == ("answered", "elise", who_hangs_up)


def test_calls_of_sipp_go_through_the_edge_and_stay_on_its_route(system: System, edge: Edge) -> None:
    """The phone that is called is found by the Path of its registration, and the edge stays in the dialog (Record-Route)."""
    known = system.call_ids()
    realm, user, caller = system.tenant["realm"], system.user("106"), system.user("101")
    port = register(edge, realm, user)
    try:
        with Sipp("answer.xml", edge, "-d", "50", "-trace_msg", port=port, calls=1) as elise:
            keys = {"user": caller["sip_user"], "realm": realm, "dest": "106"}
            Sipp("call_with_authentication.xml", edge, "-d", "300", *credentials(caller), **keys).succeed()
            elise.succeed()
            seen = "".join(path.read_text() for path in elise.folder.glob("*_messages.log"))
    finally:
        register(edge, realm, user, port=port, expires=0)
    assert f"@{EDGE_HOST}:{edge[1]};lr" in seen.partition("INVITE sip:")[2].partition("\n\n")[0]
    (record,) = system.new_records(known, 1)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")
