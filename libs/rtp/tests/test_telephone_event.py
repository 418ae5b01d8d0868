"""Keys: counted once, whatever becomes of their packets."""

from __future__ import annotations

import struct

import pytest

from carillon_rtp.client import DigitPressed, PlaneClient
from carillon_rtp.testing import EventLog, Leg, MakeLeg

EVENT = 101


async def digits(events: EventLog, leg: Leg, count: int) -> list[tuple[str, int]]:
    """The keys heard after one more, `D`, has been pressed and heard: nothing can come behind it."""
    leg.press_event(15)
    heard = await events.wait_for(DigitPressed, leg.name, count + 1)
    assert heard[-1].digit == "D"
    return [(event.digit, event.duration_ms) for event in heard[:-1]]


@pytest.mark.feature("M-7")
async def test_every_key_is_counted_once_though_its_end_comes_three_times(make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    for event in range(15):
        leg.press_event(event)
    assert await digits(events, leg, 15) == [(digit, 100) for digit in "0123456789*#ABC"]


@pytest.mark.feature("M-7")
async def test_each_packet_twice_is_still_one_key(make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    leg.press([packet for packet in leg.phone.event_packets(7, EVENT) for _ in range(2)])
    assert await digits(events, leg, 1) == [("7", 100)]


@pytest.mark.parametrize("lost", [{0}, {0, 1, 2}, {4, 5}, {0, 1, 2, 3, 4, 5}, {4, 5, 6}])
async def test_lost_packets_lose_no_key(make_leg: MakeLeg, events: EventLog, lost: set[int]) -> None:
    leg = await make_leg("PCMA", EVENT)
    leg.press([packet for number, packet in enumerate(leg.phone.event_packets(3, EVENT)) if number not in lost])
    leg.press_event(3)
    heard = await digits(events, leg, 2)
    assert [digit for digit, _ in heard] == ["3", "3"]
    assert heard[0][1] in (80, 100)


async def test_a_lost_end_is_missed_and_the_key_counted(make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    leg.press(leg.phone.event_packets(8, EVENT)[:3])
    (event,) = await events.wait_for(DigitPressed, leg.name)
    assert (event.digit, event.duration_ms) == ("8", 60)


async def test_a_key_held_for_long_is_one_key(make_leg: MakeLeg, events: EventLog) -> None:
    """RFC 4733 section 2.5.1.3: past 65,535 samples the event goes on in a new segment."""
    leg = await make_leg("PCMA", EVENT)
    start = leg.phone.timestamp
    for segment, duration, end in ((0, 40000, 0), (0, 65535, 0), (1, 800, 0), (1, 14465, 0x80)):
        body = struct.pack("!BBH", 0, end | 10, duration)
        leg.press([leg.phone.packet(body, EVENT, timestamp=start + segment * 65535)])
    leg.phone.timestamp = start + 80000
    assert await digits(events, leg, 1) == [("0", 10000)]


async def test_an_overtaken_end_is_no_second_key(make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    first, second = leg.phone.event_packets(1, EVENT), leg.phone.event_packets(2, EVENT)
    leg.press([*first[:5], second[0], *first[5:], *second[1:]])
    assert await digits(events, leg, 2) == [("1", 100), ("2", 100)]


async def test_the_shortest_key_is_a_key(make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    leg.press(leg.phone.event_packets(9, EVENT, updates=1, step=400))
    assert await digits(events, leg, 1) == [("9", 50)]


async def test_other_events_and_payload_types_are_no_keys(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", EVENT)
    leg.press_event(16)  # flash
    leg.press(leg.phone.event_packets(1, 99))
    leg.press([leg.phone.packet(b"\1", EVENT)])  # too short
    assert await digits(events, leg, 0) == []
    dropped = (await leg.statistics()).dropped
    assert (dropped.payload_type, dropped.malformed) == (7, 1)
