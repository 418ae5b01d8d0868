"""Session timer negotiation (RFC 4028): Session-Expires, Min-SE, who refreshes; pure functions of headers and settings.

Invariant: an agreed interval is never below the Min-SE of either side, and exactly one side is the refresher.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from carillon_sip.errors import ParseError
from carillon_sip.message import Message
from carillon_sip.timers import Alarm
from carillon_sip.uri import find_parameter, parse_parameters

Refresher: TypeAlias = Literal["uac", "uas"]
#: "The absolute minimum for the Session-Expires header field is 90 seconds" (section 4).
LEAST = 90
#: Longer intervals are as good as none; a 422 that wants more is not obeyed.
MOST = 86_400

#: Table 2 of section 9, with our choice where it leaves one: (UAC supports timers, refresher it asks for) -> refresher.
REFRESHERS: Mapping[tuple[bool, str], Refresher] = {
    (False, ""): "uas",
    (False, "uac"): "uas",
    (False, "uas"): "uas",
    (True, ""): "uac",
    (True, "uac"): "uac",
    (True, "uas"): "uas",
}


class TimerOffer(NamedTuple):
    """What a request or 2xx says about the session timer; `interval` None: nothing."""

    interval: int | None = None
    refresher: str = ""
    min_se: int = LEAST
    supported: bool = False


class Agreed(NamedTuple):
    """Seconds until the session expires, and whose part it is to refresh it."""

    interval: int
    refresher: Refresher


class SessionTimer(NamedTuple):
    """A running timer: what was agreed, whether we refresh, and the two alarms."""

    interval: int
    ours: bool
    refresh: Alarm | None
    expiry: Alarm


def read_timer(message: Message) -> TimerOffer:
    """Session-Expires, Min-SE and Supported of a message; raises ParseError."""
    headers = message.headers
    interval, refresher = None, ""
    value = headers.get("session-expires")
    if value is not None:
        interval, parameters = _seconds(value)
        refresher = (find_parameter(parse_parameters(parameters), "refresher") or "").lower()
        if refresher not in ("", "uac", "uas"):
            raise ParseError("the refresher is neither uac nor uas")
    least = headers.get("min-se")
    min_se = max(LEAST, _seconds(least)[0]) if least is not None else LEAST
    supported = "timer" in headers.all("supported") or "timer" in headers.all("require")
    return TimerOffer(interval, refresher, min_se, supported)


def _seconds(value: str) -> tuple[int, str]:
    number, _, parameters = value.partition(";")
    number = number.strip()
    if not (number.isascii() and number.isdigit()) or len(number) > 10:
        raise ParseError("a session interval is not a number")
    return int(number), parameters


def too_small(offer: TimerOffer, min_se: int) -> bool:
    """Whether to answer 422: only those who support timers understand it (section 9)."""
    return offer.supported and offer.interval is not None and offer.interval < min_se


def agree(offer: TimerOffer, wanted: int, min_se: int) -> Agreed:
    """The UAS's answer. "The UAS MAY reduce its value, but MUST NOT set it to a duration lower than ... Min-SE" (section 9)."""
    least = max(offer.min_se, min_se)
    interval = wanted if offer.interval is None else min(offer.interval, wanted)
    return Agreed(min(max(interval, least), max(MOST, least)), REFRESHERS[offer.supported, offer.refresher])


def margin(interval: int) -> float:
    """How long before the expiry to hang up: "the minimum of 32 seconds and one third of the session interval" (section 10)."""
    return min(32.0, interval / 3)
