"""An INVITE with Replaces (RFC 3891 section 3): which of our sessions it means, or why it is refused.

Invariant: a session is found only by somebody who knows its Call-ID and both tags.
"""

from collections.abc import Mapping

from carillon_sip.errors import ParseError
from carillon_sip.message import Request
from carillon_sip.replaces import Replaces
from carillon_sip.session import Session, SessionState

_S = SessionState


def replaced(request: Request, sessions: Mapping[str, Session]) -> Session | int | None:
    """The session that an INVITE is to replace, the status to refuse it with, or None without the header.

    The tags may also be given as the other end of the dialog sees them: that is what a watcher of the dialog package knows
    (RFC 4235), and how a call that rings elsewhere is picked up.
    """
    values = request.headers.raw("replaces")
    if not values:
        return None
    if len(values) > 1:
        # "If more than one Replaces header field is present in an INVITE, ... the UAS MUST reject the request with a 400"
        return 400
    try:
        wanted = Replaces.parse(values[0])
    except ParseError:
        return 400
    found = _match(wanted.call_id, wanted.to_tag, wanted.from_tag, sessions)
    watched = None if found is not None else _match(wanted.call_id, wanted.from_tag, wanted.to_tag, sessions)
    session = found or watched
    if session is None or session.state in (_S.ENDING, _S.OVER, _S.CANCELLING):
        # "If no match is found, the UAS rejects the INVITE and returns a 481"
        return 481
    if session.state is _S.INCOMING:
        # "If the Replaces header field matches an early dialog that was not initiated by this UA, it returns a 481"
        return 481
    if wanted.early_only and session.state is not _S.CALLING:
        # "... contains the early-only flag and the dialog is confirmed ... it returns a 486 Busy Here"
        return 486
    return session


def _match(call_id: str, local_tag: str, remote_tag: str, sessions: Mapping[str, Session]) -> Session | None:
    session = sessions.get(local_tag)
    if session is None:
        return None
    early = session.early_with(remote_tag)
    dialog = session.dialog or (early.dialog if early is not None else None)
    return session if dialog is not None and (dialog.call_id, dialog.remote_tag) == (call_id, remote_tag) else None
