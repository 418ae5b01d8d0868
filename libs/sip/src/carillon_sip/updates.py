"""UPDATE both ways (RFC 3311), before and after the answer; and the answers to offers in UPDATE and PRACK.

Invariant: at most one offer waits for an answer in a session, theirs or ours; another one is refused (`REFUSALS`).
"""

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from zlib import crc32

from carillon_sip.context import Context, Fields, body_lines, has
from carillon_sip.dialog import Dialog
from carillon_sip.dialog_requests import DialogRequests, status_of
from carillon_sip.errors import ParseError, WrongState
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import ReinviteAnswered, ReinviteFailed, SessionRefreshed, SessionReinvited
from carillon_sip.session import EarlyDialog, Session, SessionState
from carillon_sip.session_timers import SessionTimers
from carillon_sip.transaction import Failure, ServerTransaction

_S = SessionState
#: Seconds until a refresh that was refused without a Retry-After is tried again.
AGAIN = 5.0


class Pending(StrEnum):
    """Whose offer waits for its answer."""

    NOBODYS = "nobody's"
    OURS = "ours"
    THEIRS = "theirs"


#: (whose offer is pending, this UPDATE brings an offer) -> status; what is not here is taken (section 5.2).
REFUSALS: Mapping[tuple[Pending, bool], int] = {
    # "If an UPDATE is received that contains an offer, and the UAS has generated an offer ... to which it has not yet
    # received an answer, the UAS MUST reject the UPDATE with a 491 response."
    (Pending.OURS, True): 491,
    # "... and the UAS has received an offer ... to which it has not yet generated an answer, the UAS MUST reject the UPDATE
    # with a 500 response, and MUST include a Retry-After header field with a randomly chosen value between 0 and 10 seconds."
    (Pending.THEIRS, True): 500,
}


def pending(session: Session, early: EarlyDialog | None = None) -> Pending:
    """Whose offer waits; `early` is the branch it is about when our INVITE has no final answer."""
    if session.offered or (session.server is not None and session.state is not _S.INCOMING):
        return Pending.THEIRS
    if session.client is not None and session.state is _S.UP:
        return Pending.OURS
    if session.update is not None and session.update.described:
        return Pending.OURS
    match session.state:
        case _S.INCOMING if not session.described:
            return Pending.OURS if session.delayed_offer and session.reliable is not None else Pending.THEIRS
        case _S.CALLING | _S.CANCELLING if early is None or not early.answered:
            return Pending.THEIRS if early is not None and early.unanswered else Pending.OURS
        case _S.OFFERED if session.delayed_offer:
            return Pending.THEIRS
        case _S.ANSWERED | _S.LEAVING if session.delayed_offer and not session.described:
            return Pending.OURS
    return Pending.NOBODYS


def glare_pause(session: Session) -> float:
    """Seconds to wait after 491 (RFC 3261 section 14.1): 2.1 to 4 for the owner of the Call-ID, else 0 to 2; chosen by the call."""
    share = crc32(session.id.encode()) % 100 / 100
    return 2.1 + 1.9 * share if session.outgoing else 2.0 * share


def retry_after(session: Session, status: int, response: Response | None) -> float:
    """The pause before the same offer may be tried again; 0 when nobody says so."""
    if status == 491:
        return glare_pause(session)
    value = ((response.headers.get("retry-after") if response is not None else None) or "").partition("(")[0].partition(";")[0].strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0.0


class Updates:
    """Offers and refreshes outside of INVITE transactions."""

    def __init__(self, context: Context, requests: DialogRequests, timers: SessionTimers) -> None:
        self._context = context
        self._requests = requests
        self._timers = timers

    def received(
        self,
        session: Session,
        dialog: Dialog,
        early: EarlyDialog | None,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        now: float,
    ) -> None:
        """An UPDATE came, in order; raises ParseError when its Contact is wrong."""
        layer, line = self._context.layer, self._context.server_line
        status = 500 if session.offered else REFUSALS.get((pending(session, early), bool(request.body)))
        if status is not None:
            # "A UAS that receives an UPDATE before it has generated a final response to a previous UPDATE ... MUST return a 500"
            pause = f"Retry-After: {transaction.cseq % 10}\r\n" if status == 500 else ""
            layer.reply(transaction, status, now, fields=line + pause)
            return
        status = self._timers.asked(session, request)
        if status is not None:
            layer.reply(transaction, status, now, fields=line + (self._timers.refusal_line() if status == 422 else ""))
            return
        dialog.refresh_target(request)
        session.flow = flow
        session.peer = session.peer.learn(request)
        if request.body:
            session.remote_body = request.body
            self.offered(session, transaction, "UPDATE", now)
            self._context.outputs.append(SessionReinvited(session.id, request.body, "UPDATE", flow))
        else:
            layer.reply(transaction, 200, now, fields=self._accepting(session, (), b"", now))
            self._context.outputs.append(SessionRefreshed(session.id, request))

    def offered(self, session: Session, transaction: ServerTransaction, method: str, now: float) -> None:
        """Keep an offer for `answer` or `refuse`; "If the UAS ... needs to prompt the user ... it SHOULD ... 504" (section 5.2)."""
        session.offer_server, session.offer_method = transaction, method

        def too_late(at: float) -> None:
            if session.offer_server is transaction:
                self.refuse(session, 504, at)

        self._context.alarm(now + 16 * self._context.settings.timing.t1, too_late)

    def answer(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """200 with the answer to their UPDATE or PRACK."""
        transaction, session.offer_server = session.offer_server, None
        if transaction is not None:
            session.local_body = body or session.local_body
            fields = self._accepting(session, headers, body, now, timer=session.offer_method == "UPDATE")
            self._context.layer.reply(transaction, 200, now, fields=fields, body=body)

    def refuse(self, session: Session, status: int, now: float) -> None:
        """The offer is not taken; what was agreed before holds."""
        transaction, session.offer_server = session.offer_server, None
        if transaction is not None:
            self._context.layer.reply(transaction, status, now, fields=self._context.server_line)

    def update(self, session: Session, body: bytes, headers: Fields, now: float, *, refreshing: bool = False) -> None:
        """Send an UPDATE, or say 491 when it must wait."""
        if not session.allows("update"):
            return
        early = None if session.dialog is not None else next(reversed((session.early or {}).values()), None)
        dialog = session.dialog if early is None else early.dialog
        if dialog is None:
            raise WrongState("no dialog yet: no provisional response with a tag has come")
        if session.update is not None or (body and pending(session, early) is not Pending.NOBODYS):
            self._context.outputs.append(ReinviteFailed(session.id, 491, "UPDATE", glare_pause(session)))
            return
        context = self._context
        contact = "" if has(headers, "contact") else f"Contact: {session.contact}\r\n"
        timer = self._timers.request_lines(session, headers) if session.dialog is not None and session.state is not _S.INCOMING else ""
        fields = f"{contact}{context.allow_line}{context.supported_line}{timer}{body_lines(headers, body)}"
        if body:
            session.local_body = body

        def heard(event: Response | Failure, at: float) -> None:
            self._heard(session, dialog, body, event, at, refreshing)

        session.update = self._requests.send("UPDATE", dialog, session.flow, fields, body, now, heard, session.credentials)

    def _heard(self, session: Session, dialog: Dialog, body: bytes, event: Response | Failure, now: float, refreshing: bool) -> None:
        session.update = None
        if session.done:
            return
        status = status_of(event)
        if isinstance(event, Response) and status < 300:
            with suppress(ParseError):  # When its Contact is wrong, the old target stays.
                dialog.refresh_target(event)
            session.peer = session.peer.learn(event)
            session.remote_body = event.body or session.remote_body
            if session.state not in (_S.INCOMING, _S.CALLING, _S.CANCELLING):
                self._timers.answered(session, event, now)
            if not refreshing:
                self._context.outputs.append(ReinviteAnswered(session.id, event.body, "UPDATE"))
        else:
            self.failed(session, status, event if isinstance(event, Response) else None, now, refreshing)

    def failed(self, session: Session, status: int, response: Response | None, now: float, refreshing: bool) -> None:
        """Our UPDATE came to nothing; a refresh is tried again, by re-INVITE when UPDATE is not known there."""
        pause = retry_after(session, status, response)
        if refreshing:
            if status in (405, 501):
                session.peer = session.peer._replace(allow=session.peer.allow - {"UPDATE"})
            self._timers.minimum(session, response)
            self._timers.refresh_at(session, now + max(pause, AGAIN))
        else:
            self._context.outputs.append(ReinviteFailed(session.id, status, "UPDATE", pause))
        if status in (408, 481) and session.state is _S.UP:
            self.lost(session, status, now)

    def lost(self, session: Session, status: int, now: float) -> None:
        """ "If the response for a request within a dialog is a 481 or a 408, the UAC SHOULD terminate the dialog" (12.2.1.2)."""
        if session.dialog is not None:
            self._requests.send("BYE", session.dialog, session.flow, "", b"", now, _nobody)
        self._context.ended(session, "timeout" if status == 408 else "remote", str(status))

    def _accepting(self, session: Session, headers: Fields, body: bytes, now: float, *, timer: bool = True) -> str:
        context = self._context
        contact = "" if has(headers, "contact") else f"Contact: {session.contact}\r\n"
        refreshed = self._timers.update_accepted(session, now) if timer else ""
        return f"{contact}{context.server_line}{context.allow_line}{context.supported_line}{refreshed}{body_lines(headers, body)}"


def _nobody(event: Response | Failure, now: float) -> None:
    """Nobody waits for this answer."""
