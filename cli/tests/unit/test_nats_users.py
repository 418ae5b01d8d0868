import pytest

from carillon_cli.supervisor.nats_users import EVERYTHING, nats_users
from carillon_kit.embedded import NatsUser

pytestmark = [pytest.mark.feature("P-2"), pytest.mark.feature("P-4")]


@pytest.fixture
def users() -> dict[str, NatsUser]:
    found = nats_users(("media", "routing"), ("dupont", "martin"), lambda name: f"secret of {name}")
    return {user.name: user for user in found}


def test_a_tenant_hears_itself_alone_and_says_nothing(users: dict[str, NatsUser]) -> None:
    tenant = users["tenant-dupont"]
    assert tenant.subscribe == ("carillon.dupont.>", "_INBOX.dupont.>")
    assert tenant.deny_publish == EVERYTHING


def test_what_stands_for_a_password_is_kept_from_the_tenant(users: dict[str, NatsUser]) -> None:
    denied = users["tenant-dupont"].deny_subscribe
    assert denied == tuple(f"carillon.dupont.config.{kind}.*" for kind in ("sip_credential", "trunk_credential", "conference_room"))


def test_a_service_publishes_its_own_streams_only(users: dict[str, NatsUser]) -> None:
    assert {"carillon.*.call.>", "carillon.*.audit.>"} <= set(users["media"].publish)
    own = [subject for subject in users["routing"].publish if subject.startswith("carillon.")]
    queues = [f"carillon.*.{each}.>" for each in ("queue", "agent", "hunt_group", "call_back", "emergency_notice")]
    assert own == [*queues, "carillon.*.audit.>", "carillon._operator.letter.>", "carillon._operator.erasure.>"]


def test_no_service_may_delete_a_stream(users: dict[str, NatsUser]) -> None:
    for service in ("media", "routing"):
        assert "$JS.API.>" not in users[service].publish
        assert "$JS.API.STREAM.DELETE.>" in users[service].deny_publish
        purges = [subject for subject in users[service].publish if "PURGE" in subject]
        assert all(subject.endswith(".OBJ_audio") for subject in purges)


def test_the_directory_alone_may_destroy_messages() -> None:
    destroy = "$JS.API.STREAM.MSG.DELETE.>"
    found = {user.name: user for user in nats_users(("directory", "cdr"), (), lambda name: name)}
    assert destroy in found["directory"].publish
    assert destroy not in found["directory"].deny_publish
    assert destroy in found["cdr"].deny_publish


def test_everyone_has_a_password_of_their_own(users: dict[str, NatsUser]) -> None:
    assert len({user.password for user in users.values()}) == len(users) == 5
