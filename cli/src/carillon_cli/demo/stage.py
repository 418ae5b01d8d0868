"""What the scenes of the demo stand on: the system, the phones of Dupont SA, a carrier, and a list of what was true.

Always: a check that fails is noted and shown, and the next scene goes on; every wait has a deadline.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

from carillon.cdr.v1 import cdr_pb2
from carillon_cli.commands.clock import DEFAULT_ZONE, instant, set_clock
from carillon_cli.commands.explain import call_events
from carillon_cli.phone.call import ANSWERS, Behaviour, Identity, PhoneCall
from carillon_cli.phone.phone import Phone
from carillon_cli.render.explain import explain
from carillon_cli.render.tables import event_line, record_json
from carillon_cli.system import System
from carillon_cli.watch import Tap, record
from carillon_contracts.call import RoutingDecided
from carillon_contracts.envelope import Event

#: Who calls from outside, and who answers there.
OUTSIDE_HZ, CARRIER_HZ = 440, 1300
#: Extension -> the tone of its phone; 1000 Hz is the beep's.
TONES: Mapping[str, int] = {"101": 520, "102": 610, "103": 700, "104": 790, "105": 880, "106": 1150}
OUTSIDE = "+41791112233"
#: Least seconds of a tone that count as having heard it, in a talk of two seconds or more.
HEARD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the system says of a call that is over."""

    call_id: str
    record: cdr_pb2.Record
    #: As cdr's ledger has them.
    events: tuple[Event, ...]
    #: As they were published.
    published: tuple[Event, ...]

    @property
    def status(self) -> str:
        return str(record_json(self.record)["status"])

    def data(self, fact: str) -> list[dict[str, object]]:
        """The data of the events `carillon.call.<fact>.v1`, in order."""
        return [event.data for event in self.events if event.type == f"carillon.call.{fact}.v1"]

    def trace(self, *, matched: bool) -> set[str]:
        """Subjects of the conditions that were met, or that were not."""
        decisions = [RoutingDecided.model_validate(data) for data in self.data("routing_decided")]
        return {line.subject for decision in decisions for line in decision.trace if line.matched is matched}

    def seconds(self, first: str, then: str) -> float:
        """Seconds from the first event of one fact to the first of another; endless when one is not there."""
        times = {event.type: event.time for event in reversed(self.events)}
        start, end = times.get(f"carillon.call.{first}.v1"), times.get(f"carillon.call.{then}.v1")
        return (end - start).total_seconds() if start is not None and end is not None else math.inf


@dataclass(slots=True)
class Stage:
    """Made by `open`; scenes use it one after another."""

    system: System
    tenant: str
    tap: Tap
    phones: dict[str, Phone]
    outside: Phone
    carrier: Phone
    say: Callable[[str], None]
    failures: list[str] = field(default_factory=list)
    scene: str = ""
    checked: int = 0
    _behaviours: dict[str, Behaviour] = field(default_factory=dict)

    @classmethod
    async def open(cls, stack: AsyncExitStack, system: System, tenant: str, say: Callable[[str], None]) -> Self:
        """Register the phones of all employees, start the carrier."""
        tap = await Tap.open(system, tenant)
        stack.push_async_callback(tap.close)
        behaviours: dict[str, Behaviour] = {}
        realm = str(system.entry(tenant)["realm"])
        phones: dict[str, Phone] = {}
        for known in system.phones(tenant):
            identity = Identity(known.sip_user, realm, known.sip_password, known.name)

            def behave(_: str, extension: str = known.extension) -> Behaviour:
                return behaviours.get(extension, ANSWERS)

            phones[known.extension] = await Phone.start(identity, system.sip_udp, TONES[known.extension], behave)
            stack.push_async_callback(phones[known.extension].stop)
        ip, port = system.carrier(tenant)
        carrier = await Phone.start(
            Identity("carrier", ""), system.sip_udp, CARRIER_HZ, lambda number: behaviours.get(number, ANSWERS), ip=ip, port=port
        )
        stack.push_async_callback(carrier.stop)
        # Same host as the trunk, another port: calls from there are the trunk's, and its tone is not that of who answers outside.
        outside = await Phone.start(Identity("outside", ""), system.sip_udp, OUTSIDE_HZ, ip=ip)
        stack.push_async_callback(outside.stop)
        return cls(system, tenant, tap, phones, outside, carrier, say, _behaviours=behaviours)

    @property
    def everyone(self) -> tuple[Phone, ...]:
        """All phones of the stage."""
        return (*self.phones.values(), self.outside, self.carrier)

    def begin(self, title: str, at: str, behaviours: Mapping[str, Behaviour]) -> None:
        """A new scene: title, time of day, and what phones (by extension) and outside numbers do when they are called."""
        self.scene = title
        moment = instant(at, DEFAULT_ZONE)
        set_clock(self.system, moment)
        self.say(f"{title}\n  It is {moment:%A, %d %B %Y, %H:%M} in {DEFAULT_ZONE}.")
        for who, behaviour in behaviours.items():
            self.say(f"  {who} {behaviour}.")
        self.say("")
        self._behaviours.clear()
        self._behaviours.update(behaviours)
        for phone in self.everyone:
            phone.forget()

    def check(self, what: str, true: object) -> None:
        """Note and show whether something is as it should be."""
        self.checked += 1
        self.say(f"  {'ok ' if true else 'NOT'}  {what}")
        if not true:
            self.failures.append(f"{self.scene}: {what}")

    async def told(self, call: PhoneCall) -> Told:
        """Wait until the call is over and recorded; show its explanation, events and record; check what always holds."""
        return await self.told_of(await self.tap.call_id(call.sip_call_id))

    async def told_of(self, call_id: str) -> Told:
        """`told` for a call that another phone placed."""
        await self.tap.ended(call_id)
        found = await record(self.system, self.tenant, call_id)
        events = await call_events(self.system, self.tenant, call_id)
        told = Told(call_id, found, tuple(events), tuple(self.tap.of_call(call_id)))
        self._show(told)
        self.check(
            f"{len(events)} events without a gap, published as they lie in the ledger, the last one and only it `call.ended`",
            [event.seq for event in events] == list(range(1, len(events) + 1))
            and [event.id for event in events] == [event.id for event in told.published]
            and [event.type for event in events].count("carillon.call.ended.v1") == 1
            and events[-1].type == "carillon.call.ended.v1",
        )
        return told

    def _show(self, told: Told) -> None:
        for line in explain(told.events):
            self.say(f"  {line}")
        self.say("\n  events, as the tenant's own NATS user sees them:")
        for event in told.published:
            self.say(f"    {event_line(event)}")
        self.say("\n  record:")
        for name, value in record_json(told.record).items():
            if name != "legs":
                self.say(f"    {name:<13} {'-' if value in (None, '') else value}")
        self.say(f"    {'legs':<13} {', '.join(f'{leg.leg_id} {leg.party} {leg.cause}' for leg in told.record.legs)}\n")

    def phone_calls(self, extension: str) -> list[PhoneCall]:
        """The calls of a phone in this scene."""
        return self.phones[extension].calls
