"""Kamailio as the carrier that our trunk registers with: digest for the registration and for calls, calls both ways on its route."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carillon_contracts.config import TRUNK_PASSWORDS
from carillon_kit.embedded import free_port
from carillon_kit.sealing import Sealer
from carillon_kit.testing import eventually
from carillon_sip import SessionEnded
from strangers.kamailio import kamailio, needs_kamailio
from strangers.sipp import Sipp

pytestmark = [needs_kamailio, pytest.mark.feature("M-2")]

CONFIGURATION = Path(__file__).parent / "kamailio/carrier.cfg"
CARRIER, EXCHANGE, DOMAIN = "127.0.0.4", "127.0.0.5", "carrier.example"
KEY = "k" * 40
OUTSIDE = "+41791234567"
#: The exchange plays nothing.
SILENT = {'<exec rtp_stream="SOUND,-1,8"/>': '<log message="no sound"/>'}


@contextmanager
def carrier(exchange: int) -> Iterator[tuple[str, int]]:
    """The carrier before an exchange at this port."""
    account = ('ACCOUNT="acme"', 'PASSWORD="hush"', f'DOMAIN="{DOMAIN}"')
    with kamailio(CONFIGURATION, CARRIER, {}, *account, f'PSTN_IP="{EXCHANGE}"', f'PSTN="sip:{EXCHANGE}:{exchange}"') as address:
        yield address


async def trunk(house: Any, address: tuple[str, int], password: str) -> None:
    sealed = Sealer(KEY.encode(), TRUNK_PASSWORDS).seal(password, "dupont", "account")
    await house.configure("trunk_credential", {"id": "account", "username": "acme", "sealed_password": sealed})
    facts = {"id": "carrier", "address": f"{address[0]}:{address[1]}", "trunk_credential_id": "account", "registration": {"domain": DOMAIN}}
    await house.configure("trunk", facts)


def registrations(house: Any) -> list[str]:
    """What was said of the trunk's registration."""
    return [event.type.split(".")[2] for event in house.registrations() if event.data.get("trunk_id") == "carrier"]


async def test_the_trunk_registers_and_calls_go_both_ways(house: Any, words: Any) -> None:
    exchange = free_port(EXCHANGE)
    with carrier(exchange) as address:
        await trunk(house, address, "hush")
        await eventually(lambda: "trunk_registered" in registrations(house))
        anne = await house.phone("anne")

        house.application.follow(words.ring(trunk=OUTSIDE))
        with Sipp("answer.xml", address, "-d", "50", "-trace_msg", ip=EXCHANGE, port=exchange) as far:
            call = anne.call(OUTSIDE)
            await anne.answered()
            anne.do("bye", call)
            assert await asyncio.to_thread(far.wait) == 0, far.complaint()
            heard = "".join(path.read_text() for path in far.folder.glob("*_messages.log"))
        assert words.last(await house.ended(), "leg_ended", "b1")["cause"] == "normal_clearing"
        assert f"BYE sip:sipp@{EXCHANGE}:{exchange}" in heard
        assert "Proxy-Authorization" not in heard

        house.application.follow(words.ring("anne"))
        number = "+41215550100"
        with Sipp("carrier_calls.xml", address, "-d", "300", ip=EXCHANGE, replace=SILENT, dest=number, caller=OUTSIDE) as caller:
            await anne.pick_up()
            assert await asyncio.to_thread(caller.wait) == 0, caller.complaint()
        await anne.expect(SessionEnded)
        started = words.last(await house.ended(2), "started")
        assert (started["direction"], started["dialled"], started["trunk_id"]) == ("inbound", number, "carrier")
        assert started["caller"] == OUTSIDE


async def test_a_wrong_password_is_refused_and_not_tried_for_ever(house: Any) -> None:
    with carrier(free_port(EXCHANGE)) as address:
        await trunk(house, address, "wrong")
        await eventually(lambda: bool(registrations(house)))
        (told,) = [event for event in house.registrations() if event.data.get("trunk_id") == "carrier"]
        assert (told.data["reason"], told.data["sip_status"]) == ("refused", 401)
