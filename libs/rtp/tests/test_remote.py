"""A far end goes over the control socket whole."""

from dataclasses import fields

from carillon_rtp.values import AudioCodec, Remote, SrtpKeys


def test_every_field_comes_back() -> None:
    codec, keys = AudioCodec("opus", 96, 48_000), SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"a" * 30, b"b" * 30)
    one = Remote("192.0.2.1", 4000, codec, 101, False, False, 48_000, keys, 4001, ("192.0.2.0/24",), True, True, True)
    assert Remote.from_json(one.to_json()) == one
    assert set(one.to_json()) == {field.name for field in fields(Remote)}
    assert all(getattr(one, field.name) != field.default for field in fields(Remote))
