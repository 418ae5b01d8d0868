"""Why a leg or call ended: ITU-T Q.850 causes by name, and their translation from and to SIP (RFC 3398 sections 7.2.4.1 and 8.2.6.1)."""

from collections.abc import Mapping
from typing import Literal

from carillon_contracts.causes import Q850

RingResult = Literal["answered", "no_answer", "busy", "unreachable", "congested", "rejected"]

NORMAL_CLEARING = "normal_clearing"
ANSWERED_ELSEWHERE = "answered_elsewhere"
CALLER_GAVE_UP = "caller_gave_up"
NODE_FAILURE = "node_failure"
RTP_TIMEOUT = "rtp_timeout"

#: RFC 3398 section 8.2.6.1, for a call that is refused before it was answered.
_SIP_BY_Q850: Mapping[int, int] = {
    1: 404, 2: 404, 3: 404, 16: 480, 17: 486, 18: 408, 19: 480, 20: 480, 21: 603, 22: 410, 27: 502, 28: 484, 31: 480,
    34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 63: 503, 65: 488, 79: 501, 88: 488, 102: 504, 111: 500,
    127: 500,
}  # fmt: skip

#: RFC 3398 section 7.2.4.1, with busy everywhere and decline as phones mean them.
_Q850_BY_SIP: Mapping[int, int] = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 18, 410: 22, 413: 127, 414: 127, 415: 79, 416: 127,
    420: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 488: 88, 500: 41, 501: 79, 502: 38, 503: 41,
    504: 102, 505: 127, 580: 47, 600: 17, 603: 21, 604: 1, 606: 88,
}  # fmt: skip

#: What a final answer means to whoever decides where the call goes next.
_RESULT_BY_SIP: Mapping[int, RingResult] = {
    401: "rejected", 402: "rejected", 403: "rejected", 404: "unreachable", 407: "rejected", 408: "unreachable", 410: "unreachable",
    415: "rejected", 480: "unreachable", 484: "unreachable", 486: "busy", 487: "no_answer", 488: "rejected", 600: "busy",
    603: "rejected", 604: "unreachable", 606: "rejected",
}  # fmt: skip

#: Results from the most telling to the least: `call_application.proto`, RingOutcome.result.
RESULT_ORDER: tuple[RingResult, ...] = ("answered", "no_answer", "busy", "rejected", "congested", "unreachable")

#: Cause and SIP status of a call that ends because of a ring step's result.
CAUSE_BY_RESULT: Mapping[RingResult, int] = {
    "answered": 16,
    "no_answer": 19,
    "busy": 17,
    "unreachable": 20,
    "congested": 42,
    "rejected": 21,
}


def cause_name(q850: int) -> str:
    """Name of a Q.850 cause; `normal_unspecified` for one that is not in the table."""
    return Q850.get(q850, "normal_unspecified")


def sip_status_for(q850: int) -> int:
    """Final SIP status that refuses a call for this Q.850 cause."""
    return _SIP_BY_Q850.get(q850, 480)


def cause_of_status(status: int) -> str:
    """Cause of a leg that was refused with this SIP status."""
    known = _Q850_BY_SIP.get(status)
    if known is None:
        known = 31 if status < 500 else 41 if status < 600 else 21
    return Q850[known]


def result_of_status(status: int, *, rang: bool, answered_by_peer: bool) -> RingResult:
    """What a final status means for a target.

    `rang`: it had sent 180 or 183 before. `answered_by_peer`: the status was received and not made up by our own stack.
    """
    if not answered_by_peer:
        return "no_answer" if rang and status == 408 else "unreachable"
    if rang and status in (408, 480, 487):
        return "no_answer"
    known = _RESULT_BY_SIP.get(status)
    if known is not None:
        return known
    return "unreachable" if status < 400 else "rejected" if status < 500 or status >= 600 else "congested"


def of_trunk(result: RingResult, status: int) -> RingResult:
    """A carrier that does not take our credentials has not said anything about the called."""
    return "congested" if status in (401, 407) else result


def fails_over(status: int, *, answered_by_peer: bool) -> bool:
    """Whether another server of the same carrier may take the call (RFC 3263 section 4.3): silence, no connection, or "cannot now"."""
    return not answered_by_peer or status in (408, 500, 502, 503, 504)


def flow_failed(status: int, *, answered_by_peer: bool) -> bool:
    """Whether a phone may be called over another of its flows (RFC 5626 sections 5.3 and 11.5): silence, no connection, or an edge that
    says either."""
    return not answered_by_peer or status in (408, 430)


def summary_of(results: set[RingResult]) -> RingResult:
    """The one result that stands for several; `unreachable` for none."""
    for result in RESULT_ORDER:
        if result in results:
            return result
    return "unreachable"
