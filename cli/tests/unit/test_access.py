"""What `carillon logins` and `carillon keys` say."""

from datetime import UTC, datetime

import pytest

from carillon.directory.v1 import auth_pb2
from carillon_cli.commands.keys import keys_table
from carillon_cli.commands.logins import told


@pytest.mark.feature("P-3")
def test_a_login_is_told_with_its_lock() -> None:
    login = auth_pb2.GetLoginResponse(login="alain@dupont.example", second_factor=True)
    assert told(login) == ["login          alain@dupont.example", "second factor  yes", "last login     never"]
    login.locked_until.FromDatetime(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
    assert told(login)[-1] == "locked until   2026-11-27T12:00:00Z"


@pytest.mark.feature("P-3")
def test_keys_are_listed_without_their_secrets() -> None:
    assert keys_table([]) == []
    _, line = keys_table([auth_pb2.ApiKey(id="ab12", display_name="crm", role="admin", created_by="user/dumas")])
    assert line.split() == ["ab12", "crm", "admin", "user/dumas", "never", "never"]
