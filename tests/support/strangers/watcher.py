"""A phone that subscribes, written out by hand: nothing of it is our stack's but parsing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from carillon_sip.digest import Credentials, answer_challenges
from carillon_sip.message import Message, Request, Response
from carillon_sip.parser import parse_message

REALM = "dupont.example"


class Watcher(asyncio.DatagramProtocol):
    """Answers every NOTIFY with 200 while `answer` is set."""

    def __init__(self, server: tuple[str, int], user: str, password: str) -> None:
        self.server, self.user, self.password = server, user, password
        self.link: Any = None
        self.notices: asyncio.Queue[Request] = asyncio.Queue()
        self.answers: asyncio.Queue[Response] = asyncio.Queue()
        self.cseq = 0
        self.answer = True

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message: Message = parse_message(data)
        if isinstance(message, Response):
            if message.status >= 200:
                self.answers.put_nowait(message)
            return
        if self.answer:
            copied = "".join(
                f"{name}: {value}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq") for value in message.headers.raw(name)
            )
            self.link.sendto(f"SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n".encode(), addr)
        assert isinstance(message, Request)
        self.notices.put_nowait(message)

    async def ask(
        self,
        uri: str,
        event: str = "dialog",
        *,
        method: str = "SUBSCRIBE",
        expires: int = 600,
        call_id: str = "w1",
        to_tag: str = "",
        body: str = "",
        extra: str = "",
    ) -> Response:
        """The final answer, with one challenge answered on the way."""
        host, port = self.link.get_extra_info("sockname")
        proof = ""
        while True:
            self.cseq += 1
            tag = f";tag={to_tag}" if to_tag else ""
            what = f"Event: {event}\r\nExpires: {expires}\r\n" if method == "SUBSCRIBE" else ""
            text = (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{call_id}{self.cseq}\r\nMax-Forwards: 70\r\n"
                f"From: <sip:{self.user}@{REALM}>;tag=f{call_id}\r\nTo: <{uri}>{tag}\r\nCall-ID: {call_id}-{self.user}-{port}\r\n"
                f"CSeq: {self.cseq} {method}\r\nContact: <sip:{self.user}@{host}:{port}>\r\n{what}{extra}{proof}"
                f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
            )
            self.link.sendto(text.encode(), self.server)
            async with asyncio.timeout(30):
                answer = await self.answers.get()
            if answer.status != 401 or proof:
                return answer
            given = answer_challenges(
                answer.headers.raw("WWW-Authenticate"), Credentials(self.user, self.password), method, uri, cnonce="c0ffee"
            )
            assert given is not None
            proof = f"Authorization: {given}\r\n"

    async def notice(self) -> Request:
        async with asyncio.timeout(30):
            return await self.notices.get()


@asynccontextmanager
async def watcher_of(server: tuple[str, int], user: str, password: str) -> AsyncIterator[Watcher]:
    """A user of `REALM` at a port of its own."""
    one = Watcher(server, user, password)
    one.link, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: one, local_addr=("127.0.0.1", 0))
    try:
        yield one
    finally:
        one.link.close()
