"""A SIP user agent on one UDP socket: datagrams and time in, datagrams out, everything else handed to `handle`.

Always: after each input every output is carried out and one clock is armed for the earliest timer.
"""

import asyncio
import secrets
from abc import ABC, abstractmethod
from typing import cast

from carillon_sip.commands import UserAgentSettings
from carillon_sip.flow import Flow
from carillon_sip.outputs import Output, Send
from carillon_sip.user_agent import UserAgent


class Endpoint(asyncio.DatagramProtocol, ABC):
    """The socket of a phone whose server is at `server`."""

    def __init__(self, server: tuple[str, int], settings: UserAgentSettings) -> None:
        self.server = server
        self.agent = UserAgent(settings, lambda: secrets.token_hex(12))
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def handle(self, output: Output) -> None:
        """What the user agent tells, one after another; commands given here are carried out afterwards."""

    @property
    def address(self) -> tuple[str, int]:
        """Where the socket is bound."""
        assert self._transport is not None
        ip, port = self._transport.get_extra_info("sockname")[:2]
        return str(ip), int(port)

    @property
    def flow(self) -> Flow:
        """Over which this phone reaches its server."""
        return Flow("udp", self.address, self.server)

    @property
    def now(self) -> float:
        """The loop's time, which is the user agent's."""
        return asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.agent.receive(data, Flow("udp", self.address, (addr[0], addr[1])), self.now)
        self.run()

    def error_received(self, exc: Exception) -> None:
        """ICMP: the transaction's own timers decide."""

    def run(self) -> None:
        """Carry out what the user agent wants until it wants nothing more, arm its next timer."""
        while outputs := self.agent.drain():
            for output in outputs:
                if not isinstance(output, Send):
                    self.handle(output)
                elif self._transport is not None and not self._transport.is_closing():
                    self._transport.sendto(output.data, output.flow.remote)
        if self._timer is not None:
            self._timer.cancel()
        due = self.agent.next_timer()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def close(self) -> None:
        """Close the socket at once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def _tick(self) -> None:
        self.agent.handle_timer(self.now)
        self.run()
