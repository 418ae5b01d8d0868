"""A call on a bench: a scripted world, and the invariants that hold whatever happens."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

import pytest

from carillon_contracts import call as events
from carillon_contracts.config import DoorPhone
from carillon_contracts.envelope import EventData
from carillon_media.domain import inputs, outputs
from carillon_media.domain.call import Call
from carillon_media.domain.facts import CallFacts, Contact, Limits
from carillon_media.domain.state import Parked, Talking
from carillon_media.domain.steps import Step
from carillon_sip.flow import Flow

FLOW = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 6000))


class World:
    """Users with so many devices; every trunk is there unless it is named `gone`."""

    def __init__(self, devices: dict[str, int] | None = None) -> None:
        self.devices = {"alice": 1, "bob": 1, "carol": 2} if devices is None else devices
        self.taken: set[str] = set()
        self.talking: set[str] = set()
        self.doors: dict[str, DoorPhone] = {}
        self.fax_numbers: set[str] = set()

    def contacts_of_user(self, tenant: str, user_id: str) -> Sequence[Contact]:
        return [
            Contact(f"sip:{user_id}{n}@127.0.0.1:6000", FLOW, user_id, "101", "dupont.example") for n in range(self.devices.get(user_id, 0))
        ]

    def contact_of_trunk(self, tenant: str, trunk_id: str, number: str, call_id: str = "") -> Contact | None:
        if trunk_id == "gone":
            return None
        return Contact(f"sip:{number}@127.0.0.2:5060", FLOW, f"trunk:{trunk_id}", number, "127.0.0.1", asserted=True)

    def taken_slots(self, tenant: str) -> Collection[str]:
        return self.taken

    def talks(self, tenant: str, user_id: str) -> bool:
        return user_id in self.talking

    def door_phone(self, tenant: str, user_id: str) -> DoorPhone | None:
        return self.doors.get(user_id)

    def park_digits(self, tenant: str) -> tuple[str, str]:
        return ("*7", "*7")

    def takes_faxes(self, tenant: str, number: str) -> bool:
        return number in self.fax_numbers


class Bench:
    """Feeds a call and keeps all that comes out."""

    def __init__(self, world: World | None = None, limits: Limits | None = None) -> None:
        facts = CallFacts(
            tenant="dupont",
            call_id="c1",
            direction="from_user",
            caller="100",
            caller_name="Anne Dumas",
            caller_user_id="anne",
            dialled="101",
            trunk_id=None,
            started_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
            sip_call_id="x@y",
            node="n1",
        )
        self.call = Call(facts, limits)
        self.world = world or World()
        self.now = 100.0
        self.out: list[outputs.Output] = []
        self.last: list[outputs.Output] = []

    def feed(self, *given: inputs.Input) -> "Bench":
        self.last = []
        for item in given:
            self.last += self.call.feed(item, self.now, self.world)
        self.out += self.last
        return self

    def arrive(self) -> "Bench":
        return self.feed(inputs.Arrived())

    def originate(self, devices: int = 1) -> "Bench":
        contacts = tuple(Contact(f"sip:anne{n}@127.0.0.1:6000", FLOW, "anne", "100", "dupont.example") for n in range(devices))
        return self.feed(inputs.Originated(contacts, "Bob", "admin", 30.0))

    def decide(self, step: Step, cursor: bytes = b"cur", config_seq: int = 7) -> "Bench":
        return self.feed(inputs.Decided(self.question, step, cursor, (), config_seq, {"a": 1}))

    def pass_time(self, seconds: float) -> "Bench":
        """Advance and fire the timers that are due, in order."""
        end = self.now + seconds
        self.last = []
        while due := sorted((at, name) for name, at in self.timers().items() if at <= end):
            self.now, name = due[0]
            self.fired.add((name, due[0][0]))
            found = self.call.feed(inputs.TimerFired(name), self.now, self.world)
            self.out += found
            self.last += found
        self.now = end
        return self

    @property
    def fired(self) -> set[tuple[str, float]]:
        if not hasattr(self, "_fired"):
            self._fired: set[tuple[str, float]] = set()
        return self._fired

    def timers(self) -> dict[str, float]:
        armed: dict[str, float] = {}
        for output in self.out:
            if isinstance(output, outputs.SetTimer):
                armed[output.name] = output.at
            elif isinstance(output, outputs.CancelTimer):
                armed.pop(output.name, None)
            elif isinstance(output, outputs.Finished):
                armed.clear()
        return {name: at for name, at in armed.items() if (name, at) not in self.fired}

    @property
    def question(self) -> int:
        asked = [output.question for output in self.out if isinstance(output, outputs.Ask)]
        return asked[-1] if asked else 0

    def asked(self) -> outputs.Ask:
        """The last question."""
        return [output for output in self.out if isinstance(output, outputs.Ask)][-1]

    def events(self, out: Iterable[outputs.Output] | None = None) -> list[tuple[str, str | None]]:
        """(fact, leg) of every event."""
        return [(o.event.fact(), o.leg_id) for o in (self.out if out is None else out) if isinstance(o, outputs.Journal)]

    def event(self, kind: type[EventData], leg_id: str | None = None) -> EventData:
        """The only event of a kind (and leg)."""
        found = [
            o.event
            for o in self.out
            if isinstance(o, outputs.Journal) and isinstance(o.event, kind) and (leg_id is None or o.leg_id == leg_id)
        ]
        assert len(found) == 1, found
        return found[0]

    def did(self, kind: type[outputs.Output], out: Iterable[outputs.Output] | None = None) -> list[outputs.Output]:
        """Commands of a kind."""
        return [output for output in (self.out if out is None else out) if isinstance(output, kind)]

    def closed(self) -> dict[str, str]:
        """How each leg was closed."""
        return {output.leg_id: output.how for output in self.out if isinstance(output, outputs.CloseLeg)}

    def check(self) -> None:
        """What holds whatever happened."""
        journal = [output for output in self.out if isinstance(output, outputs.Journal)]
        assert [output.seq for output in journal] == list(range(1, len(journal) + 1))
        ended = [output.leg_id for output in journal if isinstance(output.event, events.LegEnded)]
        assert len(ended) == len(set(ended))
        closed = [output.leg_id for output in self.out if isinstance(output, outputs.CloseLeg)]
        assert sorted(closed) == sorted(str(leg) for leg in ended)
        offered = [output.leg_id for output in self.out if isinstance(output, outputs.OfferLeg | outputs.AdoptLeg)]
        transfers = [output for output in journal if isinstance(output.event, events.LegTransferred)]
        assert 0 <= len(transfers) - sum(isinstance(output.event, events.TransferEnded) for output in journal) <= int(not self.call.over)
        if self.call.over:
            assert isinstance(journal[-1].event, events.CallEnded)
            assert set(ended) == {"a", *offered}
            assert isinstance(self.out[-1], outputs.Finished)
        assert sum(isinstance(output.event, events.CallEnded) for output in journal) == int(self.call.over)
        assert len(self.did(outputs.AnswerCaller)) <= 1
        state = self.call.state
        assert self.music() == self.held_parties() | ({state.anchor} if state.music else set())

    def music(self) -> set[str]:
        """Legs that hear music now."""
        hear: set[str] = set()
        for output in self.out:
            if isinstance(output, outputs.PlayMusic):
                hear.add(output.leg_id)
            elif isinstance(output, outputs.PlayTo | outputs.StopPlay | outputs.CloseLeg):
                hear.discard(output.leg_id)
        return hear

    def held_parties(self) -> set[str]:
        """Legs that the other side of their talk holds, and who is parked."""
        phase, anchor = self.call.state.phase, self.call.state.anchor
        if isinstance(phase, Parked):
            return set() if phase.announced_to == anchor else {anchor}
        if not isinstance(phase, Talking):
            return set()
        pairs = ((anchor, phase.peer), (phase.peer, anchor))
        return {other for leg, other in pairs if self.call.legs[leg].held}


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    def make(devices: dict[str, int] | None = None, limits: Limits | None = None) -> Bench:
        return Bench(World(devices), limits)

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Iterable[Bench]:
    """A call of Anne's; the invariants are checked at the end."""
    one = make_bench()
    yield one
    one.check()
