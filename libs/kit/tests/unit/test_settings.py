"""Settings from the environment and from secret files."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from carillon_kit.settings import ServiceSettings

KEY = "k" * 32


class Settings(ServiceSettings):
    """A service's own."""

    sip_port: int = 5060


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CARILLON_TOKEN_KEY", "CARILLON_SECRETS_DIR", "CARILLON_NATS_URL"):
        monkeypatch.delenv(name, raising=False)


def test_fields_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_TOKEN_KEY", KEY)
    monkeypatch.setenv("CARILLON_SIP_PORT", "5070")
    settings = Settings()
    assert (settings.sip_port, settings.token_key.get_secret_value(), settings.log_format) == (5070, KEY, "json")
    assert KEY not in repr(settings)
    assert settings.node


def test_secrets_come_from_files_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token_key").write_text(KEY + "\n")
    (tmp_path / "carillon_nats_url").write_text("nats://file:1")
    (tmp_path / "sip_port").write_text("1")
    monkeypatch.setenv("CARILLON_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("CARILLON_SIP_PORT", "2")
    settings = Settings()
    assert (settings.token_key.get_secret_value(), settings.nats_url, settings.sip_port) == (KEY, "nats://file:1", 2)


@pytest.mark.parametrize("key", [None, "too short"])
def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    if key is not None:
        monkeypatch.setenv("CARILLON_TOKEN_KEY", key)
    with pytest.raises(ValidationError):
        Settings()
