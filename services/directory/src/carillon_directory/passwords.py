"""Password hashes by argon2id, made and checked off the event loop, a few at once.

Always: checking takes the same work whether the login exists or not; who waits too long in line is told to come again.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from carillon_kit.errors import Unavailable

#: OWASP's smallest for argon2id: 19 MiB, two passes; about 20 ms.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE, _WAITING = 2, 64


class Passwords:
    """Make one in the composition root; `close` it at the end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobodys = _HASHER.hash("nobody's password")

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """A salted hash. Raises `Unavailable` when too many wait."""
        return str(await self._run(_HASHER.hash, password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; None, for a login that does not exist, never is. Raises `Unavailable`."""
        found = bool(await self._run(_matches, password, password_hash or self._nobodys))
        return found and password_hash is not None

    async def _run(self, function: object, *arguments: str) -> object:
        if self._waiting >= _WAITING:
            raise Unavailable("too many logins at once; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)  # type: ignore[arg-type]
        finally:
            self._waiting -= 1


def _matches(password: str, password_hash: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
