import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_cli.phone.g711 import encode
from carillon_cli.phone.rtp import FRAME, Ear, Packet, key_payloads
from carillon_cli.phone.tones import hear, tone

pytestmark = pytest.mark.feature("P-6")
EVENT = 101


def audio(number: int, hz: int = 600, ssrc: int = 1) -> Packet:
    return Packet(8, number == 0, number, number * FRAME, ssrc, encode("PCMA", tone(hz, FRAME, start=number * FRAME)))


def key(name: str, timestamp: int) -> list[Packet]:
    return [Packet(EVENT, place == 0, place, timestamp, 1, payload) for place, payload in enumerate(key_payloads(name))]


def test_a_packet_is_read_back() -> None:
    assert Packet.parse(audio(3).to_bytes()) == audio(3)


@given(st.binary(max_size=200))
def test_no_datagram_breaks_the_ear(data: bytes) -> None:
    packet = Packet.parse(data)
    if packet is not None:
        Ear().packet(packet, EVENT)


def test_a_tone_in_packets_is_heard() -> None:
    ear = Ear()
    for number in range(50):
        ear.packet(audio(number), EVENT)
    assert hear(ear.samples).tone_seconds(600) == pytest.approx(1.0)


def test_what_did_not_come_is_silence_and_what_comes_late_is_dropped() -> None:
    ear = Ear()
    for number in [*range(25), *range(50, 75), 30]:
        ear.packet(audio(number), EVENT)
    assert len(ear.samples) == 75 * FRAME
    assert hear(ear.samples).silence == pytest.approx(0.5)


def test_another_source_goes_on_without_a_pause() -> None:
    ear = Ear()
    ear.packet(audio(5), EVENT)
    ear.packet(audio(4000, ssrc=2), EVENT)
    assert len(ear.samples) == 2 * FRAME


def test_a_key_counts_once_though_its_end_comes_three_times() -> None:
    ear = Ear()
    for packet in [*key("5", 800), *key("5", 4000), *key("#", 8000)]:
        ear.packet(packet, EVENT)
    assert ear.keys == "55#"


def test_a_key_whose_last_packets_are_lost_still_counts_once() -> None:
    ear = Ear()
    for packet in key("1", 800)[:-2]:
        ear.packet(packet, EVENT)
    assert ear.keys == "1"
