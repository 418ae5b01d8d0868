"""For tests: embedded servers as pytest fixtures, and waiting without sleeping.

In a conftest.py: `from carillon_kit.testing import nats_server, nats_url, postgres_server, postgres_dsn  # noqa: F401`
"""

from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], bool | Awaitable[bool]], timeout: float = 5.0) -> None:
    """Return once `condition()` is true; raises `TimeoutError`."""
    raise NotImplementedError
