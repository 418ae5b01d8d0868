"""What `carillon logins` and `carillon keys` say."""

from datetime import UTC, datetime

import pytest

from carillon.directory.v1 import auth_pb2
from carillon_cli.commands.keys import keys_table
from carillon_cli.commands.logins import logins_table, told


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
    assert line.split() == ["ab12", "crm", "admin", "-", "user/dumas", "never", "never"]
    narrow = auth_pb2.ApiKey(id="cd34", display_name="crm", role="department_admin", department_id="sales", rights_profile_id="reader")
    assert "department_admin of sales  reader" in keys_table([narrow])[1]


@pytest.mark.feature("P-3")
def test_logins_are_listed_a_line_each() -> None:
    assert logins_table([]) == []
    state = auth_pb2.LoginState(user_id="alain", login="alain@dupont.example", role="user", department_id="sales")
    assert logins_table([state])[1].split() == ["alain", "alain@dupont.example", "user", "sales", "no", "never", "-"]
    state.locked_until.FromDatetime(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
    assert logins_table([state])[1].split()[-1] == "2026-11-27T12:00:00Z"
