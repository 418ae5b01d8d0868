"""One running system for the whole folder; tests set the clock that they need and look only at calls of their own."""

from collections.abc import Iterator

import pytest

from strangers.system import System, has_ipv6


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """Carillon with Dupont SA on free ports, on IPv6 besides where there is any; its log is printed when something failed."""
    running = System.start(*(("--host6", "::1") if has_ipv6() else ()))
    try:
        yield running
    finally:
        code = running.stop()
        log = running.log()
        running.forget()
    assert code == 0, f"carillon up ended with {code}:\n{log[-5000:]}"
