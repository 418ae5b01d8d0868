"""A person who called, was called and left messages is erased in the running system: no store names them, and all else goes on."""

import asyncio
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials
from strangers.story import Story
from strangers.system import System, until

pytestmark = pytest.mark.feature("P-8")
USER, SIP_USER, MAILBOX, PASSWORD = "zoe.quillfeather", "dupont-quillfeather", "quillfeather", "correct-horse-battery"
EXTENSION, MOBILE = "190", "+41798877661"
#: Name (also as it is in JSON), ids, address, and the private number in the forms that systems write.
WORDS = ("quillfeather", "zo\u00e9", "zo\\u00e9", "8877661", "887 76 61")


class Directory:
    def __init__(self, system: System) -> None:
        self._link = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])

    def do(self, noun: str, field: str, **resource: object) -> None:
        self._link.call(f"carillon.directory.v1.{noun}Service/Create{noun}", {field: resource})


@pytest.fixture
def story(system: System) -> Iterator[Story]:
    made = Story(system)
    yield made
    made.close()


def call(system: System, dialled: str, milliseconds: int) -> Sipp:
    """From the person's phone."""
    phone = {"sip_user": SIP_USER, "sip_password": PASSWORD}
    keys = {"user": SIP_USER, "realm": system.tenant["realm"], "dest": dialled}
    return Sipp("call_with_authentication.xml", system.sip, "-d", str(milliseconds), *credentials(phone), seconds=110, **keys)


def settle(system: System) -> None:
    """They are there, colleagues know them, they call and are called."""
    admin = Directory(system)
    admin.do("Mailbox", "mailbox", id=MAILBOX, emails=["zoe@quillfeather.example"])
    person = {"id": USER, "first_name": "Zo\u00e9", "last_name": "Quillfeather", "mobile": MOBILE, "mailbox_id": MAILBOX}
    forwarding = {"unreachable": {"mailbox_id": MAILBOX}, "busy": {"external_number": MOBILE}}
    admin.do("User", "user", **person, email="zoe@quillfeather.example", forwarding=forwarding)
    admin.do("SipCredential", "sip_credential", id=SIP_USER, user_id=USER, password=PASSWORD)
    admin.do("Extension", "extension", id=EXTENSION, destination={"user_id": USER})
    admin.do("Contact", "contact", id="q-mum", last_name="Quillfeather-Mother", phone="+41223344556", owner_user_id=USER)
    admin.do("User", "user", id="stand-in", last_name="Stand-In", description="for Quillfeather, Zo\u00e9 (079 887 76 61)")
    until(lambda: system.carillon("lines", "unlock", USER, code=None), "media knows the phone", 30)


def stored(system: System) -> dict[str, str]:
    """What every store holds, in small letters, by its name: each table of each service, and the files of the bus and of media."""
    found = asyncio.run(_tables(system))
    for path in system.data.rglob("*"):
        part = path.relative_to(system.data).parts[0]
        if path.is_file() and part not in ("postgres", "mail", "secrets.json"):
            found[str(path)] = path.read_bytes().decode(errors="replace").lower()
    return found


async def _tables(system: System) -> dict[str, str]:
    found: dict[str, str] = {}
    connection = await asyncpg.connect(system.run["postgres"]["dsn"])
    try:
        tables = await connection.fetch(
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"
        )
        for schema, name in tables:
            rows = await connection.fetch(f'select * from "{schema}"."{name}"')
            found[f"{schema}.{name}"] = "\n".join(str([_plain(value) for value in row.values()]) for row in rows).lower()
    finally:
        await connection.close()
    return found


def _plain(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def told_of(system: System, erasure_id: str) -> dict[str, Any]:
    link = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    try:
        return dict(link.call("carillon.directory.v1.PersonService/GetErasure", {"erasure_id": erasure_id})["erasure"])
    finally:
        link.channel.close()


def naming(system: System) -> dict[str, list[str]]:
    """By store, a place where each of the words stands."""
    found = {}
    for name, text in stored(system).items():
        if places := [text[max(0, at - 60) : at + 60] for word in WORDS if (at := text.find(word)) >= 0]:
            found[name] = places
    return found


@pytest.mark.timeout(400)
def test_no_store_names_a_person_who_was_erased(system: System, story: Story, tmp_path: Path) -> None:
    settle(system)
    known = story.call_ids()
    call(system, "104", 2500).succeed()
    assert story.record(known)["status"] in ("voicemail", "unanswered")
    again = story.call_ids()
    story.user_call("101", EXTENSION, 2500).succeed()
    record = story.record(again)
    everywhere = ("directory.", "cdr.", "routing.", "/jetstream/")
    until(lambda: all(any(store in place for place in naming(system)) for store in everywhere), "it is known everywhere", 60)
    told = system.carillon("person", "export", USER, str(tmp_path / "q.zip"))
    assert "calls.json" in told
    with zipfile.ZipFile(tmp_path / "q.zip") as archive:
        assert len(json.loads(archive.read("calls.json"))) == 2

    begun = system.carillon("person", "erase", USER, "--reason", "asked for by Quillfeather", "--wait", "0.1", code=None)
    (erasure_id,) = re.findall(r"erasure ([0-9a-f-]{36}):", begun)
    done = until(lambda: (found := told_of(system, erasure_id)).get("done_time") and found, "nothing names them", 150)
    assert {each["service"] for each in done["services"]} == {"cdr", "directory", "media", "routing", "voicemail"}

    # A node's journal drops what the ledger has when its segment is full or its process starts anew (docs/operations.md).
    left = {name: places for name, places in naming(system).items() if "/journal/" not in name}
    assert not left, json.dumps(left, indent=1)
    assert [each for each in story.records() if each["call_id"] == record["call_id"]], "the call is still in the records"
    assert "done" not in system.carillon("person", "erase", USER, code=1), "there is nobody of that name any more"
    after = story.call_ids()
    story.user_call("101", "104", 300).succeed()
    assert story.record(after)["caller"]
