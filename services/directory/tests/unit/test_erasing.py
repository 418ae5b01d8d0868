"""A person who is erased: what goes, what parts with them, how the log reads afterwards, and that nothing brings them back."""

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import JsonValue

from carillon_contracts.config import RESOURCES, ConfigChanged
from carillon_contracts.tenant_config import Folding, TenantConfig, evolve
from carillon_directory.domain.commands import Bounds, Command, CreateResource, ErasePerson, PutBack, UpdateResource
from carillon_directory.domain.conclude import State
from carillon_directory.domain.decide import decide
from carillon_directory.domain.erasing.decide import Erasing, Rewriting, erase, told
from carillon_directory.domain.erasing.husks import KEPT, PERSONAL
from carillon_directory.domain.index import Index
from carillon_directory.domain.outcomes import Accepted, Forbidden, Held, Missing, Refused
from carillon_directory.domain.past import as_now, restoring, undoing
from carillon_directory.testing import company_command

from .test_invariants import History, commands, content, verbs

pytestmark = pytest.mark.feature("P-8")
PSEUDONYM = "erased-abcdef012345"
ORDER = ErasePerson(actor="user/admin", user_id="zoe.quill", pseudonym=PSEUDONYM, erasure_id="e1")

COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH"},
    "mailboxes": [
        {"id": "zoe.quill", "emails": ["zoe@private.example"]},
        {"id": "shared", "emails": ["zoe@private.example", "x@acme.example"]},
    ],
    "users": [
        {
            "id": "zoe.quill",
            "first_name": "Zoé",
            "last_name": "Quill",
            "email": "zoe.quill@acme.example",
            "mobile": "+41791234567",
            "mailbox_id": "zoe.quill",
            "forwarding": {"busy": {"external_number": "+41791234567"}, "no_answer": {"user_id": "bob"}},
        },
        {
            "id": "bob",
            "last_name": "Baker",
            "description": "Stands in for Quill, Zoé (079 123 45 67)",
            "function_keys": [{"key": 1, "user_id": "zoe.quill", "label": "QUILL"}, {"key": 2, "number": "+41215550100", "label": "Desk"}],
            "forwarding": {"busy": {"user_id": "zoe.quill"}},
        },
    ],
    "sip_credentials": [{"id": "acme-zoe", "user_id": "zoe.quill", "password": "correct-horse"}],
    "contacts": [{"id": "mum", "last_name": "Quill-Mother", "phone": "+41223334455", "owner_user_id": "zoe.quill"}],
    "devices": [{"id": "phone", "label": "desk of Zoé Quill", "lines": [{"sip_credential_id": "acme-zoe"}]}],
    "ring_groups": [{"id": "team", "members": [{"user_id": "zoe.quill"}, {"user_id": "bob"}, {"external_number": "+41791234567"}]}],
    "extensions": [{"id": "101", "destination": {"user_id": "zoe.quill"}}],
    "numbers": [{"id": "+41215550101", "label": "Zoé Quill", "destination": {"user_id": "zoe.quill"}}],
}
WORDS = ("quill", "zoe", "1234567", "123 45 67", "22333")


class Log:
    """A tenant's changes and what they make."""

    def __init__(self, *asked: Command, tenant: str = "acme") -> None:
        self.tenant = tenant
        self.config = TenantConfig(tenant)
        self.changes: list[ConfigChanged] = []
        for command in asked:
            decision = decide(self.config, command)
            assert isinstance(decision, Accepted), decision
            self.add(decision.changes)

    def add(self, changes: tuple[ConfigChanged, ...]) -> None:
        for change in changes:
            self.config = evolve(self.config, self.config.seq + 1, change)
            self.changes.append(change)

    def numbered(self) -> list[tuple[int, ConfigChanged]]:
        return list(enumerate(self.changes, start=1))

    def erase(self, command: ErasePerson) -> Erasing | Refused:
        done = erase(State(self.config, Index.of(self.config)), self.numbered(), command)
        if isinstance(done, Erasing):
            self.add(done.changes)
            rewriting = Rewriting(done.order, done.own)
            self.changes = [rewriting.change(change) for change in self.changes]
            assert [rewriting.change(change) for change in self.changes] == self.changes
            self.add((told(done.order, command.actor, command.reason),))
        return done

    def text(self) -> str:
        return "\n".join(change.model_dump_json() for change in self.changes).casefold().replace("é", "e")

    def folded(self) -> TenantConfig:
        folding = Folding(TenantConfig(self.tenant))
        for version, change in self.numbered():
            folding.add(version, change)
        return folding.result()


def audio(name: str, letter: str) -> dict[str, Any]:
    """A file that somebody spoke."""
    files = {"object": f"sha256-{letter * 64}", "wide_object": f"sha256-{letter * 63}0"}
    told = {"display_name": "Greeting of Zoé Quill", "text": "This is Quill", "duration_ms": 900}
    return {"id": name, **told, **files, "rights_confirmed_by": "user/zoe.quill", "rights_confirmed_at": "2026-01-01T00:00:00Z"}


def test_what_they_had_spoken_for_their_box_goes_and_what_others_hear_stays() -> None:
    boxes = [
        {"id": "zoe.quill", "greeting": [{"audio_id": "hers"}, {"audio_id": "everybodys"}]},
        {"id": "shared", "greeting": [{"audio_id": "everybodys"}]},
    ]
    files = [audio("hers", "a"), audio("everybodys", "b"), audio("former", "c")]
    before = {**COMPANY, "mailboxes": [{**boxes[0], "greeting": [{"audio_id": "former"}]}, boxes[1]], "audios": files}
    log = Log(company_command(before), company_command({**COMPANY, "mailboxes": boxes, "audios": files}))
    outcome = done(log.erase(ORDER))
    assert set(log.config.resources["audio"]) == {"everybodys"}
    assert log.folded() == log.config
    assert [word for word in ("quill", "zoe", "a" * 64, "c" * 64) if word in log.text()] == []
    assert outcome.order.objects == tuple(sorted(audio("", letter)[each] for letter in "ac" for each in ("object", "wide_object")))


@pytest.fixture
def log() -> Log:
    rename = UpdateResource(actor="user/zoe.quill", kind="user", resource_id="zoe.quill", document={"title": "Dr"}, paths=("title",))
    return Log(company_command(COMPANY), rename)


def done(outcome: Erasing | Refused) -> Erasing:
    assert isinstance(outcome, Erasing), outcome
    return outcome


def test_no_word_of_the_person_is_left_in_the_log(log: Log) -> None:
    before = log.text()
    assert all(word in before for word in WORDS)
    found = done(log.erase(ORDER))
    assert [word for word in WORDS if word in log.text()] == []
    assert found.remarks == ()
    assert log.changes[-1].resource_id == PSEUDONYM
    assert log.changes[-1].action == "erased"


def test_others_stay_and_part_with_the_person(log: Log) -> None:
    done(log.erase(ORDER))
    config = log.config
    assert set(config.users) == {"bob"}
    assert [member.user_id or member.external_number for member in config.ring_groups["team"].members] == ["bob", "+41790000000"]
    assert config.numbers["+41215550101"].destination is None
    assert [key.key for key in config.users["bob"].function_keys] == [2]
    assert config.users["bob"].forwarding.busy is None
    assert config.mailboxes["shared"].emails == ("x@acme.example",)
    assert not config.sip_credentials
    assert not config.extensions
    assert set(config.mailboxes) == {"shared"}
    assert config.resources["device"]["phone"].model_dump()["lines"] == ()


def test_the_past_can_be_read_and_tells_of_a_pseudonym(log: Log) -> None:
    seq = log.config.seq
    done(log.erase(ORDER))
    assert content(log.folded()) == content(log.config)
    past = Folding(TenantConfig("acme"))
    for version, change in log.numbered()[:seq]:
        past.add(version, change)
    then = past.result()
    assert then.users[PSEUDONYM].last_name == "erased"
    assert then.extensions["101"].destination.user_id == PSEUDONYM
    busy = then.users[PSEUDONYM].forwarding.busy
    assert busy is not None
    assert busy.external_number == "+41790000000"


def test_neither_undoing_nor_restoring_brings_anybody_back(log: Log) -> None:
    seq = log.config.seq
    done(log.erase(ORDER))
    undo, expected = undoing(log.numbered()[seq:])
    refused = decide(log.config, PutBack(actor="x", then=undo, expected=expected))
    assert not isinstance(refused, Accepted)
    folding = Folding(TenantConfig("acme"))
    for version, change in log.numbered()[: seq - 1]:
        folding.add(version, change)
    wanted = restoring(log.config, folding.result())
    restored = decide(log.config, PutBack(actor="x", then=wanted, expected=as_now(log.config, wanted)))
    assert isinstance(restored, Accepted), restored
    log.add(restored.changes)
    assert set(log.config.users) == {"bob"}
    assert [member.user_id for member in log.config.ring_groups["team"].members if member.user_id] == ["bob"]


def test_nobody_can_be_made_under_a_pseudonym(log: Log) -> None:
    refused = decide(log.config, CreateResource(actor="x", kind="user", document={"id": PSEUDONYM, "last_name": "X"}))
    assert "erased" in str(refused)
    assert not isinstance(refused, Accepted)


def test_who_was_deleted_before_and_where_calls_would_go_astray(log: Log) -> None:
    menu: dict[str, JsonValue] = {"id": "m", "prompt": [{"text": "1"}], "keys": [{"key": "1", "destination": {"user_id": "zoe.quill"}}]}
    log = Log(company_command(COMPANY), CreateResource(actor="x", kind="menu", document=menu))
    held = log.erase(ORDER)
    assert isinstance(held, Held)
    assert [(each.kind, each.resource_id) for each in held.holders] == [("menu", "m")]
    assert isinstance(log.erase(ErasePerson(actor="x", user_id="nobody", pseudonym=PSEUDONYM, erasure_id="e")), Missing)


def test_a_reseller_that_entered_erases_no_administrator_behind_the_others_backs() -> None:
    users = [{"id": "ann", "last_name": "Archer", "role": "admin"}, {"id": "bob", "last_name": "Baker"}]
    log = Log(company_command({"tenant": COMPANY["tenant"], "users": users}))
    visiting = Bounds(inside=True, visiting=True)
    asked: dict[str, Any] = {"actor": "reseller/west/key/1", "pseudonym": PSEUDONYM, "erasure_id": "e", "bounds": visiting}
    assert isinstance(log.erase(ErasePerson(user_id="ann", **asked)), Forbidden)
    assert isinstance(log.erase(ErasePerson(user_id="bob", **asked)), Erasing)


def test_a_name_that_others_bear_stays_theirs() -> None:
    company = {
        "tenant": {"id": "quill", "realm": "q.example", "display_name": "Quill SA"},
        "users": [{"id": "quill", "first_name": "Zoe", "last_name": "Quill"}, {"id": "b", "last_name": "Quill", "first_name": "Bo"}],
    }
    titles = (
        UpdateResource(actor="x", kind="user", resource_id="quill", document={"title": title}, paths=("title",)) for title in ("Dr", "Prof")
    )
    log = Log(company_command(company), *titles, tenant="quill")
    found = done(log.erase(ErasePerson(actor="x", user_id="quill", pseudonym=PSEUDONYM, erasure_id="e")))
    assert ("word/Quill", "stands for others too and stays where it is not the person's own") in found.remarks
    assert len({subject.casefold() for subject, _ in found.remarks}) == len(found.remarks)
    assert log.config.tenant.display_name == "Quill SA"
    assert log.config.users["b"].last_name == "Quill"
    assert found.order.ids == {}
    assert found.order.user_ids == {"quill": PSEUDONYM}
    assert "zoe" not in log.text()
    assert content(log.folded()) == content(log.config)


def test_every_field_of_what_can_be_a_persons_is_judged() -> None:
    assert {kind: set(RESOURCES[kind].model_fields) for kind in PERSONAL} == {kind: {*PERSONAL[kind], *KEPT[kind]} for kind in PERSONAL}


@settings(max_examples=60, deadline=None)
@for_all(st.lists(commands() | verbs(), max_size=20), st.sampled_from(["u1", "u2"]), st.lists(commands() | verbs(), max_size=8))
def test_whatever_came_before_the_log_makes_the_state_and_names_nobody(before: list[Command], user_id: str, later: list[Command]) -> None:
    history = History()
    for command in before:
        history.ask(command)
    log = Log()
    log.add(tuple(history.changes))
    named = UpdateResource(actor="x", kind="user", resource_id=user_id, document={"last_name": "Quillfeather"}, paths=("last_name",))
    if isinstance(decision := decide(log.config, named), Accepted):
        log.add(decision.changes)
    outcome = log.erase(ErasePerson(actor="x", user_id=user_id, pseudonym=PSEUDONYM, erasure_id="e"))
    if isinstance(outcome, Erasing):
        assert "quillfeather" not in log.text()
        assert user_id not in log.config.users
        assert isinstance(log.erase(ErasePerson(actor="x", user_id=user_id, pseudonym=PSEUDONYM, erasure_id="e")), Missing)
    assert content(log.folded()) == content(log.config)
    for command in later:
        if isinstance(decision := decide(log.config, command), Accepted):
            log.add(decision.changes)
    assert content(log.folded()) == content(log.config)
