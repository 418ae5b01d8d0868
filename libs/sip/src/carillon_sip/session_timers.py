"""Session timers at work (RFC 4028): lines for our messages, refreshes in time, BYE when nobody refreshes.

Invariant: without the extension "timer", or with `session_expires` 0, no line is sent and no timer runs.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from carillon_sip.context import Context, Fields, has
from carillon_sip.errors import ParseError
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.session import Session, SessionState
from carillon_sip.session_interval import MOST, Agreed, SessionTimer, TimerOffer, agree, margin, read_timer, too_small

_LINES = re.compile(r"^(?:Session-Expires|Min-SE):.*\r\n", re.MULTILINE | re.IGNORECASE)
#: How often an INVITE is sent again because of 422.
_TRIES = 2
#: Requests that set or refresh the timer; to another one a 422 is an answer like any other.
_REFRESHES = ("INVITE", "UPDATE")
#: Before the first 2xx there is no session that could expire.
_EARLY = (SessionState.INCOMING, SessionState.CALLING, SessionState.CANCELLING)


class SessionTimers:
    """The session timer of every session; `refresh` and `expired` are what happens then."""

    refresh: Callable[[Session, float], None]
    expired: Callable[[Session, float], None]

    def __init__(self, context: Context) -> None:
        self._context = context
        settings = context.settings
        self.enabled = settings.session_expires > 0 and "timer" in settings.extensions

    def request_lines(self, session: Session, headers: Fields) -> str:
        """For an INVITE, re-INVITE or UPDATE of ours; nothing when the user brings its own."""
        if not self.enabled or has(headers, "session-expires"):
            return ""
        settings, timer = self._context.settings, session.timer
        interval = max(session.min_se, timer.interval if timer is not None else settings.session_expires)
        # "In a session refresh request sent within a dialog ... the UAC SHOULD ... set the refresher to the current one" (7.4)
        refresher = "" if timer is None else ";refresher=uac" if timer.ours else ";refresher=uas"
        return f"Session-Expires: {interval}{refresher}\r\nMin-SE: {max(session.min_se, settings.min_se)}\r\n"

    def asked(self, session: Session, request: Request) -> int | None:
        """What an INVITE or UPDATE of theirs asks for: kept for our 2xx; the status to refuse it with, or None."""
        if not self.enabled:
            return None
        try:
            offer = read_timer(request)
        except ParseError:
            return 400
        if too_small(offer, self._context.settings.min_se):
            return 422
        if request.method == "INVITE":
            session.asked = offer
        else:
            session.asked_by_update = offer
        return None

    def refusal_line(self) -> str:
        """The Min-SE of our 422: "It MUST contain ... the minimum timer" (section 9)."""
        return f"Min-SE: {self._context.settings.min_se}\r\n"

    def accepted(self, session: Session, now: float) -> str:
        """We answer an INVITE with 2xx: the lines for it; the timer starts."""
        offer, session.asked = session.asked, None
        return self._agreed(session, offer, now)

    def update_accepted(self, session: Session, now: float) -> str:
        """We answer an UPDATE with 2xx; before the call is answered it refreshes nothing."""
        offer, session.asked_by_update = session.asked_by_update, None
        return self._agreed(session, offer, now) if session.state not in _EARLY else ""

    def _agreed(self, session: Session, offer: TimerOffer | None, now: float) -> str:
        if offer is None:
            return ""
        agreed = agree(offer, self._context.settings.session_expires, self._context.settings.min_se)
        self.start(session, agreed.interval, agreed.refresher == "uas", now)
        # "If the refresher parameter in the Session-Expires header field in the 2xx response has a value of 'uac', the UAS
        # MUST place a Require header field into the response with the value 'timer'." (section 9)
        require = "Require: timer\r\n" if offer.supported else ""
        return f"{require}Session-Expires: {agreed.interval};refresher={agreed.refresher}\r\n"

    def answered(self, session: Session, response: Response, now: float) -> None:
        """A 2xx to our INVITE, re-INVITE or UPDATE: the timer starts anew, or ends when it names none."""
        if not self.enabled:
            return
        try:
            offer = read_timer(response)
        except ParseError:
            return
        if offer.interval is None:
            # "If the 2xx response did not contain a Session-Expires header field, there is no session expiration." (7.2)
            session.stop_timer()
        else:
            agreed = Agreed(min(max(offer.interval, session.min_se, 1), MOST), "uas" if offer.refresher == "uas" else "uac")
            self.start(session, agreed.interval, agreed.refresher == "uac", now)

    def minimum(self, session: Session, response: Response | None) -> None:
        """A 422 to a refresh says what the next one must ask for."""
        if self.enabled and response is not None and response.status == 422:
            with suppress(ParseError):
                session.min_se = min(max(session.min_se, read_timer(response).min_se), MOST)

    def longer(self, session: Session, request: OutgoingRequest, response: Response) -> OutgoingRequest | None:
        """Our request again after 422 with the interval it wants (section 7.3); its CSeq and branch are still those of the first."""
        if not self.enabled or response.status != 422 or request.method not in _REFRESHES or session.timer_tries >= _TRIES:
            return None
        try:
            least = read_timer(response).min_se
        except ParseError:
            return None
        if "min-se" not in response.headers or not session.min_se < least <= MOST:
            return None
        session.timer_tries += 1
        session.min_se = least
        return replace(request, fields=_LINES.sub("", request.fields) + self.request_lines(session, ()))

    def start(self, session: Session, interval: int, ours: bool, now: float) -> None:
        """Run from now; `ours`: we refresh, "once half the session interval has elapsed" (section 7.2)."""
        session.stop_timer()
        context = self._context

        def expire(at: float) -> None:
            self.expired(session, at)

        expiry = context.alarm(now + interval - margin(interval), expire)
        session.timer = SessionTimer(interval, ours, None, expiry)
        if ours:
            self.refresh_at(session, now + interval / 2)

    def refresh_at(self, session: Session, at: float) -> None:
        """Refresh then, when it is our part."""
        timer = session.timer
        if timer is not None and timer.ours:

            def refresh(now: float) -> None:
                self.refresh(session, now)

            if timer.refresh is not None:
                timer.refresh.stop()
            session.timer = timer._replace(refresh=self._context.alarm(at, refresh))
