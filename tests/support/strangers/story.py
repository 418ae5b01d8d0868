"""The example company's calls as they were decided, and the same calls in the simulator."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pprint import pformat
from typing import Any

from strangers.reflection import Reflected
from strangers.sipp import Sipp, credentials, register
from strangers.system import System, until

#: Where the trunk of the example company leads, and from where it brings calls. Its port is the one of the configuration.
CARRIER = "127.0.0.2"
CARRIER_PORT = 5060
OUTSIDE = "+41791234567"
Decisions = list[tuple[str, Any, list[tuple[str, bool, str, str]]]]


class Story:
    """A running system whose decisions are read and simulated by a client that knows reflection alone."""

    def __init__(self, system: System) -> None:
        self.system = system
        run = system.run
        self._cdr, self._routing = (Reflected(run["grpc"][name], run["admin_token"]) for name in ("cdr", "routing"))
        self.at = ""

    def close(self) -> None:
        for client in (self._cdr, self._routing):
            client.channel.close()

    def clock(self, moment: str) -> None:
        """`2026-11-24T10:15+01:00`, for the system and for simulations."""
        if moment != self.at:
            self.at = moment
            self.system.clock(moment)

    def records(self) -> list[dict[str, Any]]:
        """The newest records; a field that says nothing is absent."""
        return [_plain(record) for record in self._cdr.call("carillon.cdr.v1.RecordService/ListRecords", {"page_size": 20}).get("records", [])]

    def call_ids(self) -> set[str]:
        return {record["call_id"] for record in self.records()}

    def record(self, known: set[str]) -> dict[str, Any]:
        """The one that is not among the known."""
        (fresh,) = until(lambda: [record for record in self.records() if record["call_id"] not in known], "the record", 30)
        return dict(fresh)

    def decisions(self, call_id: str) -> Decisions:
        """What routing decided: step, its fields, trace."""
        answer = self._cdr.call("carillon.cdr.v1.RecordService/ListCallEvents", {"call_id": call_id})
        events = [json.loads(raw) for raw in answer["events"]]
        decided = [event["data"] for event in events if event["type"] == "carillon.call.routing_decided.v1"]
        return [(each["step"], each["details"], _lines(each["trace"])) for each in decided if each["application"] == "routing"]

    def simulated(self, dialled: str, results: Mapping[str, str], *, keys: Sequence[str] = (), user_id: str = "") -> Decisions:
        """What routing would decide of a call from outside, or of a user."""
        asked = {"dialled": dialled, "at": self.at.replace("+", ":00+"), "results": dict(results), "keys": list(keys)}
        caller = {"caller_user_id": user_id} if user_id else {"caller": OUTSIDE}
        answer = self._routing.call("carillon.routing.v1.RoutingService/Simulate", {**asked, **caller})
        return [_turn(turn) for turn in answer["turns"]]

    def as_simulated(self, record: Mapping[str, Any], results: Mapping[str, str] | None = None, *, keys: Sequence[str] = ()) -> Decisions:
        """The decisions of a call that was, which are those of the same call in the simulator."""
        real = self.decisions(record["call_id"])
        user = next((leg["party"] for leg in record["legs"] if leg["leg_id"] == "a"), "") if record["direction"] != "inbound" else ""
        simulated = self.simulated(record["dialled"], results or {}, keys=keys, user_id=user)
        for turn, (was, would_be) in enumerate(zip_longest(real, simulated)):
            assert was == would_be, f"turn {turn} was\n{pformat(was)}\nand would be\n{pformat(would_be)}"
        return real

    def outside_call(self, number: str, milliseconds: int = 300, *options: str) -> Sipp:
        """The carrier brings a call, from another port than the one where it takes calls, and hangs up so long after the answer."""
        replace = {'<exec rtp_stream="SOUND,-1,8"/>': ""}
        keys = {"dest": number, "caller": OUTSIDE}
        return Sipp("carrier_calls.xml", self.system.sip, "-d", str(milliseconds), *options, ip=CARRIER, seconds=110, replace=replace, **keys)

    def user_call(self, extension: str, dialled: str, milliseconds: int = 300) -> Sipp:
        """A phone calls, and hangs up so long after the answer."""
        user = self.system.user(extension)
        keys = {"user": user["sip_user"], "realm": self.system.tenant["realm"], "dest": dialled}
        return Sipp("call_with_authentication.xml", self.system.sip, "-d", str(milliseconds), *credentials(user), seconds=110, **keys)

    @contextmanager
    def phone(self, extension: str, scenario: str, *options: str) -> Iterator[Sipp]:
        """A phone of SIPp's, registered while it does once what the scenario says."""
        realm, user = self.system.tenant["realm"], self.system.user(extension)
        port = register(self.system.sip, realm, user)
        try:
            with Sipp(scenario, self.system.sip, "-d", "50", *options, port=port, calls=1, seconds=110) as phone:
                yield phone
        finally:
            register(self.system.sip, realm, user, port=port, expires=0)

    def carrier(self, scenario: str, calls: int = 1, **replace: str) -> Sipp:
        """The carrier takes so many calls."""
        return Sipp(scenario, self.system.sip, "-d", "50", "-trace_msg", ip=CARRIER, port=CARRIER_PORT, calls=calls, seconds=110, replace=replace)


def _lines(trace: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool, str, str]]:
    return [(line["subject"], line.get("matched", False), line["reason"], line.get("next", "")) for line in trace]


def _turn(turn: Mapping[str, Any]) -> tuple[str, Any, list[tuple[str, bool, str, str]]]:
    ((name, fields),) = turn["step"].items()
    return name, fields, _lines(turn.get("trace", ()))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Enum values as people write them."""
    shorter = {name: record[name].removeprefix(f"CALL_{name.upper()}_").lower() for name in ("status", "direction")}
    return {**record, **shorter}
