"""Of every test: an example of hypothesis may take its time on a busy machine; two processes may share the work."""

import os

import pytest
from hypothesis import HealthCheck, settings
from own_network import enter_own_network
from xdist.scheduler import LoadScopeScheduling

# Servers are forked off while gRPC's threads are at work: its handlers in the child may end it before it has become the server.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """With `-n 2` (`make test` where it can) each process has a network of its own, so that no port is taken from the other."""
    if hasattr(config, "workerinput"):
        enter_own_network()


class OneSystem(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of one file stay in one process, and so do all that share the running system of tests/integration."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/integration" if nodeid.startswith("tests/integration/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneSystem:
    """Who runs what: the largest scope first, which is the running system."""
    return OneSystem(config, log)
