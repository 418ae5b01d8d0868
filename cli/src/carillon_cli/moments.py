"""Moments of a configuration's past as people write them: a version, or a date and time."""

from datetime import datetime

from carillon.directory.v1 import as_of_pb2
from carillon_cli.errors import CliError


def as_of(text: str) -> as_of_pb2.AsOf:
    """`17` is a version, `2026-11-24T10:00+01:00` a time (without an offset: this machine's zone). Raises `CliError`."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return as_of_pb2.AsOf(config_seq=int(text))
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise CliError(
            f"{text!r} is no moment", "Give a configuration's version (`carillon history` has them) or a time: 2026-11-24T10:00."
        ) from error
    found = as_of_pb2.AsOf()
    found.time.FromDatetime(moment)
    return found
