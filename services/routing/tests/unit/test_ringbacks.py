"""What callers hear in place of the ringing tone, and before a busy line refuses them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import decided
from carillon_routing.domain.facts import CallFacts, Entered, HangUp, Ring
from carillon_routing.grpc_api import step_message
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("M-4", "M-8")
OBJECT = "sha256-" + "0" * 64
AUDIO = {"id": "song", "object": OBJECT, "wide_object": OBJECT, "duration_ms": 1000, "rights_confirmed_by": "x"}
SONGS = {
    "audios": [AUDIO | {"rights_confirmed_at": "2026-01-01T00:00:00Z"}],
    "playlists": [{"id": name, "tracks": [{"audio_id": "song"}]} for name in ("user", "group", "number", "tenant")],
}
NUMBER = "+41215550101"


def company(*melodies: str, to: dict[str, Any] | None = None, **user: Any) -> TenantConfig:
    """Each of `melodies` has the playlist of its name."""
    melody = {name: {"ringback_music_id": name} if name in melodies else {} for name in ("user", "group", "number", "tenant")}
    own = {"id": "acme", "realm": "acme.example", "country": "CH", "main_number": NUMBER, **melody["tenant"]}
    return small_company(
        tenant=own | ({"busy_music_id": "tenant"} if user.pop("tenant_busy", False) else {}),
        users=[{"id": "anna", "last_name": "Anna", **melody["user"], **user}],
        extensions=[],
        ring_groups=[{"id": "all", "members": [{"user_id": "anna"}], **melody["group"]}],
        hunt_groups=[{"id": "hunt", "members": [{"user_id": "anna", "permanent": True}], **melody["group"]}],
        numbers=[{"id": NUMBER, "destination": to or {"user_id": "anna"}, **melody["number"]}],
        **SONGS,
    )


def step(config: TenantConfig, dialled: str = NUMBER) -> Any:
    call = CallFacts(config.tenant_id, "c1", "inbound", dialled, "+41791110000", trunk_id="carrier")
    return decided(config, call, None, Entered(), datetime(2026, 1, 6, 10, tzinfo=UTC), lambda ask: []).step


def melody(config: TenantConfig) -> str:
    found = step(config)
    assert isinstance(found, Ring)
    assert step_message(found).ring.ringback_music_id == found.ringback_music_id
    return found.ringback_music_id


def test_the_nearest_melody_is_heard() -> None:
    assert melody(company()) == ""
    assert melody(company("tenant")) == "tenant"
    assert melody(company("number", "tenant")) == "number"
    assert melody(company("user", "number", "tenant")) == "user"


@pytest.mark.parametrize("group", [{"ring_group_id": "all"}, {"hunt_group_id": "hunt"}])
def test_a_group_s_melody_is_not_its_members(group: dict[str, Any]) -> None:
    assert melody(company("user", "group", "number", to=group)) == "group"
    assert melody(company("user", "number", to=group)) == "number"


def test_a_call_that_leads_outside_has_the_ringing_of_where_it_leads() -> None:
    assert melody(company("number", "tenant", to={"external_number": "+41791234567"})) == ""


def test_a_busy_line_says_so_with_its_own_music_or_the_tenant_s() -> None:
    for user, expected in (({}, ""), ({"tenant_busy": True}, "tenant"), ({"tenant_busy": True, "busy_music_id": "user"}, "user")):
        ended = step(company(do_not_disturb=True, **user))
        assert isinstance(ended, HangUp)
        assert (ended.cause, ended.sip_status, ended.music_id) == (17, 486, expected)
        assert [prompt.music.playlist_id for prompt in step_message(ended).hang_up.prompts] == [expected] * bool(expected)
