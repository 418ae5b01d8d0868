"""Thousands who watch one thing do not hold up the one who watches another."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carillon_kit.testing import eventually
from carillon_media.domain.accounts import Credential
from carillon_media.handlers.watching import PER_TURN, Watching
from carillon_sip.flow import Flow
from carillon_sip.outputs import SubscribeReceived
from carillon_sip.parser import parse_message

pytestmark = pytest.mark.feature("M-6")
FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))


class House:
    """One tenant; who is meant is its own mailbox, and any account is let in. Counts of messages are those of `waiting`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.waiting = 0
        accounts = SimpleNamespace(
            mailbox_of=lambda tenant, user: user,
            realm_of=lambda tenant: "dupont.example",
            credential=lambda account: Credential(account, "dupont", account.partition("-")[0], "dupont.example", {}),
        )
        phones = SimpleNamespace(
            admit=lambda request, flow: accounts.credential(request.from_.uri.user), meant=lambda tenant, uri: (uri[4:7], uri[4:7])
        )
        sip = SimpleNamespace(
            accept_subscription=lambda name, body, kind: None,
            subscription=lambda name: None,
            notify=lambda name, body, kind, full: self.told.append(name),
        )
        counts = SimpleNamespace(counts=lambda tenant, mailbox: (self.waiting, 0))
        none: Any = SimpleNamespace()
        self.watching = Watching(
            cast(Any, accounts), cast(Any, phones), cast(Any, sip), {}, counts, lambda t, u: False, lambda t, u: (), none, none
        )

    def subscribe(self, mailbox: str, number: int) -> None:
        request = parse_message(
            (
                f"SUBSCRIBE sip:{mailbox}@dupont.example SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK{mailbox}{number}\r\n"
                f"From: <sip:{mailbox}-{number // 200}@dupont.example>;tag=1\r\nTo: <sip:{mailbox}@dupont.example>\r\n"
                f"Call-ID: {mailbox}{number}\r\nCSeq: 1 SUBSCRIBE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            ).encode()
        )
        self.watching.heard(SubscribeReceived(f"{mailbox}{number}", cast(Any, request), "message-summary", 600, FLOW))

    def message(self, *mailboxes: str) -> None:
        self.waiting += 1
        for mailbox in mailboxes:
            self.watching.mailbox_changed("dupont", mailbox)


async def test_who_watches_alone_is_told_among_the_first() -> None:
    house = House()
    for number in range(1000):
        house.subscribe("all", number)
    house.subscribe("own", 0)
    running = asyncio.create_task(house.watching.run())
    try:
        house.message("all", "own")
        await eventually(lambda: len(house.told) == 1001)
        assert house.told.index("own0") <= PER_TURN
        assert len(set(house.told)) == 1001
    finally:
        running.cancel()


async def test_what_changes_while_many_are_told_is_told_to_all_afterwards_once() -> None:
    house = House()
    for number in range(10 * PER_TURN):
        house.subscribe("all", number)
    running = asyncio.create_task(house.watching.run())
    try:
        house.message("all")
        await eventually(lambda: len(house.told) >= PER_TURN)
        for _ in range(3):
            house.message("all")
        await eventually(lambda: len(house.told) == 20 * PER_TURN)
        assert sorted(house.told) == sorted(2 * list(dict.fromkeys(house.told)))
    finally:
        running.cancel()
