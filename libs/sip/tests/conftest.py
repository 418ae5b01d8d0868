"""A caller and a callee in a virtual network, and a stranger that writes its messages by hand."""

import pytest

from carillon_sip import UserAgent, UserAgentSettings
from carillon_sip.testing import Pair, Stranger, Tokens, full_settings, make_full_pair, make_pair


@pytest.fixture
def pair() -> Pair:
    return make_pair()


@pytest.fixture
def stranger() -> Stranger:
    return Stranger(UserAgent(UserAgentSettings(user_agent="bob", ring_seconds=180.0), Tokens("bob")))


@pytest.fixture
def full_pair() -> Pair:
    """With every method and extension."""
    return make_full_pair()


@pytest.fixture
def full_stranger() -> Stranger:
    return Stranger(UserAgent(full_settings(user_agent="bob"), Tokens("bob")))
