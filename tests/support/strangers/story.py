"""The example company's calls as they were decided, and the same calls in the simulator."""

import email
import email.policy
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import zip_longest
from pathlib import Path
from pprint import pformat
from typing import Any
from zoneinfo import ZoneInfo

import grpc

from carillon_cli.phone.baresip import Baresip
from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials, register
from strangers.system import System, until

#: Where the trunk of the example company leads, and from where it brings calls. Its port is the one of the configuration.
CARRIER = "127.0.0.2"
CARRIER_PORT = 5060
OUTSIDE = "+41791234567"
_LOOKED_AT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d) ([A-Z]\w+/\w+)")
Decisions = list[tuple[str, Any, list[tuple[str, bool, str, str]]]]


class Story:
    """A running system whose decisions are read and simulated by a client that knows reflection alone."""

    caller = OUTSIDE

    def __init__(self, system: System) -> None:
        self.system = system
        run = system.run
        self._cdr, self._routing, self._media, self._directory = (
            Reflected(run["grpc"][name], run["admin_token"]) for name in ("cdr", "routing", "media", "directory")
        )
        self.at = datetime.now(UTC)

    def close(self) -> None:
        for client in (self._cdr, self._routing, self._media, self._directory):
            client.channel.close()

    def clock(self, moment: str) -> None:
        """`2026-11-24T10:15+01:00`, for the system and for simulations."""
        self.at = datetime.fromisoformat(moment)
        self.system.clock(moment)

    def records(self) -> list[dict[str, Any]]:
        """The newest records; a field that says nothing is absent."""
        return _records(self._cdr)

    def call_ids(self) -> set[str]:
        return {record["call_id"] for record in self.records()}

    def past_calls(self) -> list[str]:
        """The ids of all calls so far, page by page, newest first."""
        found, token = list[str](), ""
        while True:
            page = self._cdr.call("carillon.cdr.v1.RecordService/ListRecords", {"page_size": 100, "page_token": token})
            found += [record["call_id"] for record in page.get("records", ())]
            if not (token := page.get("next_page_token", "")):
                return found

    def new_records(self, known: set[str], count: int) -> list[dict[str, Any]]:
        """Those that are not among the known, once there are at least `count`."""

        def found() -> list[dict[str, Any]]:
            fresh = [record for record in self.records() if record["call_id"] not in known]
            return fresh if len(fresh) >= count else []

        return list(until(found, f"{count} new records", 30))

    def record(self, known: set[str]) -> dict[str, Any]:
        """The one that is not among the known."""
        (fresh,) = self.new_records(known, 1)
        return fresh

    def live(self) -> dict[str, Any]:
        """The one call that is up."""
        (call,) = until(self.live_calls, "a call", 30)
        return dict(call)

    def live_calls(self) -> list[dict[str, Any]]:
        """All that are up."""
        return list(self._media.call("carillon.media.v1.LiveCallService/ListLiveCalls", {}).get("calls", ()))

    def decided(self, call_id: str, count: int) -> None:
        """So often; wait for it."""
        until(lambda: len(self.so_far(call_id)) >= count, f"{count} decisions", 60)

    def talks(self, call_id: str, seconds: float) -> None:
        """Wait until its caller talks with somebody."""
        until(lambda: self.live()["state"] == "talking", f"{call_id} talks", seconds)

    def of_tenant(self, tenant: str, count: int) -> list[dict[str, Any]]:
        """Another tenant's records, once there are so many."""
        theirs = Reflected(self.system.run["grpc"]["cdr"], self.system.run["admin_token"], tenant)
        try:
            return list(until(lambda: _records(theirs, count), f"{count} records of {tenant}", 30))
        finally:
            theirs.channel.close()

    def set_user(self, user_id: str, **fields: str) -> None:
        """Fields of a user; empty: back to what it was."""
        mask = ",".join(re.sub("_(.)", lambda match: match[1].upper(), name) for name in fields)
        body = {"user": {"id": user_id, **fields}, "update_mask": mask}
        self._directory.call("carillon.directory.v1.UserService/UpdateUser", body)

    @contextmanager
    def forwarding(self, user_id: str, rules: Mapping[str, Any]) -> Iterator[None]:
        """A user's rules of forwarding, until it ends."""
        service = "carillon.directory.v1.UserService"
        before = self._directory.call(f"{service}/GetUser", {"id": user_id})["user"].get("forwarding", {})

        def put(value: Mapping[str, Any]) -> None:
            self._directory.call(f"{service}/UpdateUser", {"user": {"id": user_id, "forwarding": value}, "update_mask": "forwarding"})

        put(rules)
        try:
            yield
        finally:
            put(before)

    def events(self, call_id: str) -> list[dict[str, Any]]:
        """As they lie in the ledger."""
        answer = self._cdr.call("carillon.cdr.v1.RecordService/ListCallEvents", {"call_id": call_id})
        return [json.loads(raw) for raw in answer["events"]]

    def decisions(self, call_id: str) -> Decisions:
        """What routing decided: step, its fields, trace."""
        decided = [event["data"] for event in self.events(call_id) if event["type"] == "carillon.call.routing_decided.v1"]
        return [(each["step"], each["details"], _lines(each["trace"])) for each in decided if each["application"] == "routing"]

    def so_far(self, call_id: str) -> Decisions:
        """Of a call that may be in no ledger yet."""
        try:
            return self.decisions(call_id)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return []

    def simulated(
        self, dialled: str, results: Mapping[str, str], *, keys: Sequence[str] = (), user_id: str = "", **state: Any
    ) -> Decisions:
        """What routing would decide of a call from outside, or of a user."""
        asked = {"dialled": dialled, "at": self.at.isoformat(), "results": dict(results), "keys": list(keys), **state}
        caller = {"caller_user_id": user_id} if user_id else {"caller": OUTSIDE}
        answer = self._routing.call("carillon.routing.v1.RoutingService/Simulate", {**asked, **caller})
        return [_turn(turn) for turn in answer["turns"]]

    def as_simulated(self, record: Mapping[str, Any], results: Mapping[str, str] | None = None, *, keys: Sequence[str] = ()) -> Decisions:
        """The decisions of a call that was, which are those of the same call in the simulator."""
        real = self.decisions(record["call_id"])
        user = next((leg["party"] for leg in record["legs"] if leg["leg_id"] == "a"), "") if record["direction"] != "inbound" else ""
        self.at = _moment(real) or self.at
        simulated = self.simulated(record["dialled"], results or {}, keys=keys, user_id=user)
        for turn, (was, would_be) in enumerate(zip_longest(real, simulated)):
            assert was == would_be, f"turn {turn} was\n{pformat(was)}\nand would be\n{pformat(would_be)}"
        return real

    def mails(self, to: str) -> list[EmailMessage]:
        """What was sent to this address."""
        files = (
            path for path in Path(self.system.run["mail"]["maildir"]).rglob("*") if path.is_file() and path.parent.name in ("new", "cur")
        )
        found = [email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default) for path in files]
        return [mail for mail in found if to in str(mail["to"])]

    def outside_call(self, number: str, milliseconds: int = 300, *options: str) -> Sipp:
        """The carrier brings a call, from another port than the one where it takes calls, and hangs up so long after the answer."""
        replace = {'<exec rtp_stream="SOUND,-1,8"/>': ""}
        options = ("-d", str(milliseconds), *options)
        return Sipp("carrier_calls.xml", self.system.sip, *options, ip=CARRIER, seconds=110, replace=replace, dest=number, caller=OUTSIDE)

    def user_call(self, extension: str, dialled: str, milliseconds: int = 300) -> Sipp:
        """A phone calls, and hangs up so long after the answer."""
        user = self.system.user(extension)
        keys = {"user": user["sip_user"], "realm": self.system.tenant["realm"], "dest": dialled}
        return Sipp("call_with_authentication.xml", self.system.sip, "-d", str(milliseconds), *credentials(user), seconds=110, **keys)

    @contextmanager
    def phone(self, extension: str, scenario: str, *options: str, shows: str = "") -> Iterator[Sipp]:
        """A phone of SIPp's, registered while it does once what the scenario says; it fails unless its display `shows` this name."""
        realm, user = self.system.tenant["realm"], self.system.user(extension)
        port = register(self.system.sip, realm, user)
        try:
            replace = _checking(shows) if shows else {}
            with Sipp(scenario, self.system.sip, "-d", "50", *options, port=port, calls=1, seconds=110, replace=replace) as phone:
                yield phone
        finally:
            register(self.system.sip, realm, user, port=port, expires=0)

    @asynccontextmanager
    async def outside_phone(self, hz: int) -> AsyncIterator[Baresip]:
        """A phone in the outside world, whose calls the carrier brings."""
        one = await Baresip.start(Path(tempfile.mkdtemp(prefix="baresip-")), hz, ip=CARRIER)
        host, port = self.system.sip
        try:
            await one.command("uanew", f'<sip:{OUTSIDE}@{CARRIER}>;regint=0;outbound="sip:{host}:{port}";audio_codecs=PCMA/8000/1')
            yield one
        finally:
            await one.stop(1)  # it is registered nowhere, and baresip waits for an answer all the same
            one.forget()

    def carrier(self, scenario: str, calls: int = 1, **replace: str) -> Sipp:
        """The carrier takes so many calls."""
        return Sipp(
            scenario, self.system.sip, "-d", "50", "-trace_msg", ip=CARRIER, port=CARRIER_PORT, calls=calls, seconds=110, replace=replace
        )


def _checking(name: str) -> dict[str, str]:
    """What makes a scenario look at the caller's name."""
    look = f'<ereg regexp="&quot;{name}&quot;" search_in="hdr" header="From:" check_it="true" assign_to="name"/>'
    as_it_is = '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
    return {
        '<recv request="INVITE" rrs="true"/>': f'<recv request="INVITE" rrs="true"><action>{look}</action></recv>',
        as_it_is: as_it_is + look,
        "</scenario>": '<Reference variables="name"/></scenario>',
    }


def _moment(decisions: Decisions) -> datetime | None:
    """When the first calendar was looked at, to the minute: a slow machine's clock is not where it was set any more."""
    found = next((found for _, _, trace in decisions for line in trace if (found := _LOOKED_AT.search(line[2]))), None)
    return None if found is None else datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(found[2]))


def _lines(trace: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool, str, str]]:
    return [(line["subject"], line.get("matched", False), line["reason"], line.get("next", "")) for line in trace]


def _turn(turn: Mapping[str, Any]) -> tuple[str, Any, list[tuple[str, bool, str, str]]]:
    ((name, fields),) = turn["step"].items()
    return name, fields, _lines(turn.get("trace", ()))


def _records(cdr: Reflected, count: int = 0) -> list[dict[str, Any]]:
    """None if there are fewer."""
    found = cdr.call("carillon.cdr.v1.RecordService/ListRecords", {"page_size": 20}).get("records", [])
    return [_plain(record) for record in found] if len(found) >= count else []


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Enum values as people write them."""
    shorter = {name: record[name].removeprefix(f"CALL_{name.upper()}_").lower() for name in ("status", "direction")}
    return {**record, **shorter}
