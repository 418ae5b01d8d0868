"""SRTP against published vectors, and its rules about indices: RFC 3711 appendix B, RFC 6188 section 7, RFC 7714 sections 16 and 17."""

from __future__ import annotations

import struct
from random import Random

import pytest

from carillon_rtp.srtp import SUITES, SrtpError, SrtpStream, derive
from carillon_rtp.testing import srtp_keys
from carillon_rtp.values import SrtpKeys, SrtpSuite

CM_80: SrtpSuite = "AES_CM_128_HMAC_SHA1_80"
MASTER = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
MASTER_256 = bytes.fromhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2")
GCM_SALT = bytes.fromhex("517569642070726f2071756f")
GCM_RTP = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
GCM_RTCP = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"


def rtp(sequence: int, payload: bytes = b"some speech", ssrc: int = 0xCAFEBABE) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence % 65536, sequence * 160 % 2**32, ssrc) + payload


def test_the_keystream_is_that_of_rfc_3711_appendix_b_2() -> None:
    stream = SrtpStream.of_session_keys(
        CM_80, bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), b"", bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd")
    )
    protected = stream.protect(bytes.fromhex("80000000" + "00" * 8) + bytes(48))
    assert protected[12:60].hex() == "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, "c61e7a93744f39ee10734afe3ff7a087"),
        (2, "30cbbc08863d8c85d49db34a9ae1"),
        (
            1,
            "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef72270986371c10c9a369ac2f94a8c5fbcdddc25"
            "6d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2",
        ),
        (3, "4c1aa45a81f73d61c800bbb00fbb1eaa"),
        (4, "8d54534feb49ae8e7993a6bd0b844fc323a93dfd"),
        (5, "9581c7ad87b3e530bf3e4454a8b3"),
    ],
)
def test_keys_are_derived_as_rfc_3711_appendix_b_3_has_it(label: int, expected: str) -> None:
    assert derive(CM_80, MASTER, label, len(expected) // 2).hex() == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (0, "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"),
        (1, "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"),
        (2, "fa31791685ca444a9e07c6c64e93"),
    ],
)
def test_keys_of_256_bits_are_derived_as_rfc_6188_has_it(label: int, expected: str) -> None:
    assert derive("AES_256_CM_HMAC_SHA1_80", MASTER_256, label, len(expected) // 2).hex() == expected


@pytest.mark.parametrize(
    ("suite", "master", "expected"),
    [
        (CM_80, MASTER, "4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"),
        ("AES_CM_128_HMAC_SHA1_32", MASTER, "4e55dc4ce79978d88ca4d215949d2402b78d6acc"),
        ("AES_256_CM_HMAC_SHA1_80", MASTER_256, "f1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b"),
        ("AES_256_CM_HMAC_SHA1_32", MASTER_256, "f1d9de17ff251ff1aa007774b0b4b40da08d9d9a"),
    ],
)
def test_whole_packets_are_those_of_other_implementations(suite: SrtpSuite, master: bytes, expected: str) -> None:
    """The packet that libsrtp's own driver checks."""
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    protected = SrtpStream(suite, master).protect(plain)
    assert (protected[:12], protected[12:].hex()) == (plain[:12], expected)
    assert SrtpStream(suite, master).unprotect(protected) == plain


@pytest.mark.parametrize(
    ("suite", "key_length", "expected"),
    [
        (
            "AEAD_AES_128_GCM",
            16,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            "AEAD_AES_256_GCM",
            32,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ],
)
def test_gcm_packets_are_those_of_rfc_7714_section_16(suite: SrtpSuite, key_length: int, expected: str) -> None:
    def stream() -> SrtpStream:
        return SrtpStream.of_session_keys(suite, bytes(range(key_length)), b"", GCM_SALT)

    plain = bytes.fromhex(GCM_RTP)
    protected = stream().protect(plain)
    assert protected == plain[:12] + bytes.fromhex(expected)
    assert stream().unprotect(protected) == plain


@pytest.mark.parametrize(
    ("suite", "key_length", "expected"),
    [
        (
            "AEAD_AES_128_GCM",
            16,
            "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            "AEAD_AES_256_GCM",
            32,
            "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ],
)
def test_gcm_control_packets_are_those_of_rfc_7714_section_17(suite: SrtpSuite, key_length: int, expected: str) -> None:
    sender = SrtpStream.of_session_keys(suite, bytes(range(key_length)), b"", GCM_SALT)
    sender.start(0x4D617273, 0, rtcp_index=0x5D4)
    plain = bytes.fromhex(GCM_RTCP)
    protected = sender.protect_rtcp(plain)
    assert protected == plain[:8] + bytes.fromhex(expected)
    assert SrtpStream.of_session_keys(suite, bytes(range(key_length)), b"", GCM_SALT).unprotect_rtcp(protected) == plain


def test_a_gcm_control_packet_may_be_authenticated_only() -> None:
    """RFC 7714 section 17.3: the E flag is not set."""
    tagged = bytes.fromhex(GCM_RTCP + "841dd9683dd78ec92ae58790125f62b3" + "000005d4")
    stream = SrtpStream.of_session_keys("AEAD_AES_128_GCM", bytes(range(16)), b"", GCM_SALT)
    assert stream.unprotect_rtcp(tagged) == bytes.fromhex(GCM_RTCP)


def refused(stream: SrtpStream, packet: bytes) -> str:
    with pytest.raises(SrtpError) as error:
        stream.unprotect(packet)
    return error.value.reason


@pytest.mark.feature("M-7")
@pytest.mark.parametrize("suite", SUITES)
def test_a_stream_goes_on_over_two_roll_overs_with_loss_and_disorder(suite: SrtpSuite) -> None:
    keys, chance = srtp_keys(suite), Random(3711)
    sender, receiver = SrtpStream(suite, keys.local_key), SrtpStream(suite, keys.local_key)
    window: list[tuple[bytes, bytes]] = []
    for sequence in range(65536 - 3000, 3 * 65536, 17):
        plain = rtp(sequence, bytes([chance.randrange(256)]) * chance.randrange(1, 200))
        window.append((plain, sender.protect(plain)))
        if len(window) < 6:
            continue
        plain, protected = window.pop(chance.randrange(6))
        if chance.random() < 0.1:
            continue
        try:
            assert receiver.unprotect(protected) == plain
        except SrtpError as error:  # kept back for more than 128
            assert error.reason == "replayed"  # noqa: PT017
    assert refused(receiver, protected) == "replayed"


@pytest.mark.parametrize("suite", SUITES)
def test_what_was_altered_anywhere_is_not_believed(suite: SrtpSuite) -> None:
    keys = srtp_keys(suite)
    sender, receiver = SrtpStream(suite, keys.local_key), SrtpStream(suite, keys.local_key)
    protected = sender.protect(rtp(1))
    for place in range(len(protected)):
        altered = bytearray(protected)
        altered[place] ^= 1
        assert refused(receiver, bytes(altered)) in ("unauthentic", "malformed")
    assert receiver.unprotect(protected) == rtp(1)  # none of them did any harm
    control = sender.protect_rtcp(bytes.fromhex(GCM_RTCP))
    for place in range(len(control)):
        altered = bytearray(control)
        altered[place] ^= 1
        with pytest.raises(SrtpError):
            receiver.unprotect_rtcp(bytes(altered))
    assert receiver.unprotect_rtcp(control) == bytes.fromhex(GCM_RTCP)
    with pytest.raises(SrtpError, match="replayed"):
        receiver.unprotect_rtcp(control)


def test_each_packet_is_taken_once_and_old_ones_not_at_all() -> None:
    sender, receiver = SrtpStream(CM_80, MASTER), SrtpStream(CM_80, MASTER)
    packets = [sender.protect(rtp(sequence)) for sequence in range(200)]
    receiver.unprotect(packets[150])
    assert refused(receiver, packets[150]) == "replayed"
    assert receiver.unprotect(packets[150 - 127]) == rtp(150 - 127)
    assert refused(receiver, packets[150 - 127]) == "replayed"
    assert refused(receiver, packets[150 - 128]) == "replayed"
    assert receiver.unprotect(packets[199]) == rtp(199)


def test_no_index_is_encrypted_twice() -> None:
    sender = SrtpStream(CM_80, MASTER)
    sender.protect(rtp(7, b"one"))
    with pytest.raises(SrtpError, match="replayed"):
        sender.protect(rtp(7, b"two"))


def test_a_new_source_is_heard_beside_the_old_one_whose_packets_stay_used() -> None:
    sender, receiver = SrtpStream(CM_80, MASTER), SrtpStream(CM_80, MASTER)
    old = sender.protect(rtp(60000, ssrc=1))
    receiver.unprotect(old)
    assert receiver.unprotect(sender.protect(rtp(5, ssrc=2))) == rtp(5, ssrc=2)
    assert refused(receiver, old) == "replayed"


def test_a_receiver_who_comes_late_finds_the_roll_over_from_the_age_of_the_keys() -> None:
    sender, late = SrtpStream(CM_80, MASTER), SrtpStream(CM_80, MASTER)
    sender.start(0xCAFEBABE, 3 * 65536 + 9)
    first, second = sender.protect(rtp(10)), sender.protect(rtp(11))
    assert refused(late, first) == "unauthentic"
    late.expect(2)
    assert (late.unprotect(first), late.unprotect(second)) == (rtp(10), rtp(11))


def test_header_extensions_and_contributing_sources_stay_readable() -> None:
    plain = bytes([0x92]) + rtp(1)[1:12] + bytes(8) + b"\xbe\xde\x00\x01abcd" + b"speech"
    for suite in SUITES:
        keys = srtp_keys(suite)
        protected = SrtpStream(suite, keys.local_key).protect(plain)
        assert protected[:28] == plain[:28]
        assert protected[28:34] != b"speech"
        assert SrtpStream(suite, keys.local_key).unprotect(protected) == plain


@pytest.mark.parametrize("length", range(26))
def test_what_is_too_short_is_malformed(length: int) -> None:
    stream = SrtpStream(CM_80, MASTER)
    assert refused(stream, (b"\x9f" + bytes(40))[:length]) == "malformed"
    with pytest.raises(SrtpError):
        stream.unprotect_rtcp((b"\x81\xc8" + bytes(20))[: min(length, 21)])


def test_no_key_is_shown() -> None:
    keys = srtp_keys(CM_80)
    assert all(part not in repr(keys) for part in (repr(keys.local_key), repr(keys.remote_key), "local_key", "remote_key"))
    with pytest.raises(ValueError, match="has 30 bytes") as error:
        SrtpKeys(CM_80, b"secret", b"secret")
    assert "secret" not in str(error.value)
