"""One running system for the whole folder; tests set the clock that they need and look only at calls of their own."""

import warnings
from collections.abc import Iterator

import pytest

from strangers.registrations import leave, registered
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


@pytest.fixture(autouse=True)
def _nobody_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """A phone that could not leave, because its test failed, does not ring in the tests that follow."""
    if "system" not in request.fixturenames:
        yield
        return
    system: System = request.getfixturevalue("system")
    before = registered(system)
    yield
    for sip_user, contacts in registered(system).items():
        if contacts and not before.get(sip_user):
            warnings.warn(f"{request.node.nodeid} left {sip_user} registered: {contacts}", stacklevel=1)
            leave(system, sip_user)
