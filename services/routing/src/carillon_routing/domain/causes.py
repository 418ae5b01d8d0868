"""Release causes of ITU-T Q.850 and statuses of SIP, each as the other (RFC 3398 sections 7.2.4.1 and 8.2.6.1)."""

from carillon_routing.domain.facts import HangUp

#: SIP status -> Q.850 cause.
_CAUSES = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127, 415: 79, 416: 127,
    420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 487: 127, 488: 79, 500: 41, 501: 79,
    502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1, 606: 79,
}  # fmt: skip
#: Q.850 cause -> SIP status, text.
_STATUSES: dict[int, tuple[int, str]] = {
    1: (404, "unallocated number"), 2: (404, "no route to network"), 3: (404, "no route to destination"),
    16: (480, "normal call clearing"), 17: (486, "user busy"), 18: (408, "no user responding"), 19: (480, "no answer"),
    20: (480, "subscriber absent"), 21: (403, "call rejected"), 22: (410, "number changed"), 27: (502, "destination out of order"),
    28: (484, "address incomplete"), 29: (501, "facility rejected"), 31: (480, "normal, unspecified"), 34: (503, "no circuit available"),
    38: (503, "network out of order"), 41: (503, "temporary failure"), 42: (503, "congestion"), 47: (503, "resource unavailable"),
    55: (403, "incoming calls barred"), 57: (403, "bearer capability not authorised"), 58: (503, "bearer capability not available"),
    65: (488, "bearer capability not implemented"), 79: (501, "not implemented"), 87: (403, "not a member of the group"),
    88: (503, "incompatible destination"), 102: (504, "recovery on timer expiry"), 111: (500, "protocol error"), 127: (500, "interworking"),
}  # fmt: skip


def cause_of(sip_status: int) -> int:
    """The cause that a final status stands for; 0 if it stands for none (an answer, or nothing was heard)."""
    return _CAUSES.get(sip_status, 31 if sip_status >= 400 else 0)


def hang_up(cause: int) -> HangUp:
    """The end of a call with this cause."""
    status, text = _STATUSES.get(cause, (480, f"cause {cause}"))
    return HangUp(cause, status, text)
