"""How far a call may go from exchange to exchange before it is taken to go round in circles.

Counted in hops of Max-Forwards (RFC 3261 section 8.1.1.6), which an exchange hands on with the call like a proxy (RFC 7332 section 3).
A call that is sent on costs more of them than one that is made, so that one sent in circles ends after some ten rounds and not
after seventy; what a carrier tells of forwardings (Diversion, History-Info) counts as much, for carriers that begin to count anew.
"""

#: What a call has at its beginning.
HOPS = 70
#: What sending it on costs, while there are that many.
SENT_ON = 7


def spent(max_forwards: int | None, diversions: int) -> int:
    """Hops that a call has spent when it arrives; None: nobody counted."""
    counted = HOPS - min(HOPS, HOPS if max_forwards is None else max_forwards)
    return min(HOPS, max(counted, SENT_ON * diversions))


def left(spent: int, *, sent_on: bool) -> int:
    """Max-Forwards of the call when it goes out again; less than 1: it goes no further."""
    remaining = HOPS - spent
    return max(remaining - SENT_ON, min(remaining - 1, SENT_ON)) if sent_on else remaining - 1
