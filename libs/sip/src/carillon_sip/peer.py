"""What the far end of a session said that it can do: Allow, Supported and Require of its messages (RFC 3261 section 20).

Invariant: what it has not said, it cannot do.
"""

from typing import NamedTuple

from carillon_sip.message import Message


class Peer(NamedTuple):
    """Methods it takes, extensions it has, and those its INVITE required."""

    allow: frozenset[str] = frozenset()
    supported: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    def learn(self, message: Message) -> "Peer":
        """With what this message says; headers that it does not have leave what was known."""
        index = message.headers.index()
        allow, supported = self.allow, self.supported
        if "allow" in index:
            allow = frozenset(message.headers.all("allow"))
        if "supported" in index:
            supported = frozenset(message.headers.all("supported"))
        required = frozenset(message.headers.all("require")) if "require" in index else frozenset[str]()
        return Peer(allow, supported | required, required)


NOTHING_KNOWN = Peer()
