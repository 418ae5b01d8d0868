"""REFERs from us (RFC 3515 section 2.4.5, RFC 4488): their answers, and the NOTIFYs that tell how the far end's call goes.

Invariant: each ends exactly once: ReferAnswered that is no 2xx or has no subscription, or ReferProgress with `ended`.
"""

from dataclasses import dataclass, field

from carillon_sip.commands import RequestOut
from carillon_sip.context import Context, lines
from carillon_sip.dialog import Dialog, target_of
from carillon_sip.dialog_requests import DialogRequests, status_of
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.inquiries import outside
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outputs import ReferAnswered, ReferProgress
from carillon_sip.refer import Refer, read_sipfrag
from carillon_sip.session import Session
from carillon_sip.subscription import read_event
from carillon_sip.timers import Alarm
from carillon_sip.transaction import ClientTransaction, Failure, ServerTransaction

#: A NOTIFY may grant itself no longer than this, in seconds.
_MOST = 3600


@dataclass(slots=True, eq=False)
class _Watch:
    """One REFER of ours; `request` is set outside a dialog, `dialog` as soon as there is one."""

    name: str
    call_id: str
    local_tag: str
    dialog: Dialog | None = None
    request: OutgoingRequest | None = None
    credentials: Credentials | None = None
    challenged: bool = False
    cseqs: set[str] = field(default_factory=set)
    alarm: Alarm | None = None


class RefersOut:
    """REFERs of ours whose end has not come."""

    def __init__(self, context: Context, requests: DialogRequests) -> None:
        self._context = context
        self._requests = requests
        self._names = 0
        self._watches: dict[tuple[str, str], list[_Watch]] = {}

    def refer(self, refer: Refer, session: Session | None, now: float) -> str:
        """Send it; returns its name. Raises ValueError when it lacks an address or holds a line break."""
        self._names += 1
        name = f"w{self._names}"
        fields = self._fields(refer)
        if refer.session is not None:
            self._within(name, refer, session, fields, now)
            return name
        ready = RequestOut("REFER", refer.flow, refer.request_uri, refer.from_, refer.to, refer.contact)
        request = outside(self._context, ready)
        request.fields += fields
        watch = _Watch(name, request.call_id, request.from_.rpartition(";tag=")[2], None, request, refer.credentials)
        self._add(watch)
        self._context.layer.start_client(request, self._heard, watch, now)
        return name

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog of a NOTIFY that only a REFER of ours keeps alive; made by it when it overtakes the 202."""
        for watch in self._watches.get((request.call_id, request.to_tag), ()):
            if watch.dialog is None and watch.request is not None and request.method == "NOTIFY":
                watch.dialog = _dialog(watch, request, request.from_tag, request.headers.get("from") or "")
            if watch.dialog is not None and watch.dialog.remote_tag == request.from_tag:
                return watch.dialog
        return None

    def notified(self, transaction: ServerTransaction, request: Request, now: float) -> bool:
        """A NOTIFY came: answered here when it is about a REFER of ours; else False."""
        package, event_id = read_event(request.headers.get("event"))
        watches = self._watches.get((request.call_id, request.to_tag), [])
        watch = next((w for w in watches if event_id in w.cseqs), None)
        if watch is None and len(watches) == 1:
            watch = watches[0]
        if package != "refer" or watch is None:
            return False
        self._context.layer.reply(transaction, 200, now, fields=self._context.server_line)
        state, _, parameters = (request.headers.get("subscription-state") or "").partition(";")
        status, reason = read_sipfrag(request.body)
        ended = state.strip().lower() == "terminated"
        if ended:
            self._drop(watch)
        else:
            self._expect(watch, now + _expires(parameters) + self._context.settings.timing.timeout)
        self._context.outputs.append(ReferProgress(watch.name, status, reason, ended))
        return True

    def _fields(self, refer: Refer) -> str:
        by = (("Referred-By", str(refer.referred_by)),) if refer.referred_by is not None else ()
        none = () if refer.subscribe else (("Refer-Sub", "false"), ("Supported", "norefersub"))
        return lines((("Refer-To", str(refer.refer_to)), *by, *none, *refer.headers))

    def _within(self, name: str, refer: Refer, session: Session | None, fields: str, now: float) -> None:
        if session is None or not session.allows("request") or session.dialog is None:
            self._context.outputs.append(ReferAnswered(name, 481, False))
            return
        dialog = session.dialog
        watch = _Watch(name, dialog.call_id, dialog.local_tag, dialog)

        def heard(event: Response | Failure, at: float) -> None:
            self._answered(watch, event, at)

        self._add(watch)
        contact = f"Contact: {session.contact}\r\n"
        credentials = refer.credentials or session.credentials
        self._requests.send("REFER", dialog, session.flow, contact + fields, b"", now, heard, credentials)
        watch.cseqs.add(str(dialog.local_cseq))

    def _heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        watch = transaction.owner
        if not isinstance(watch, _Watch) or (isinstance(event, Response) and event.status < 200):
            return
        if isinstance(event, Response) and event.status >= 300:
            again = self._context.authorized(transaction.request, event, watch)
            if again is not None:
                watch.request = again
                self._context.layer.start_client(again, self._heard, watch, now)
                return
        if isinstance(event, Response) and event.status < 300 and watch.dialog is None:
            watch.dialog = _dialog(watch, event, event.to_tag, event.headers.get("to") or "")
        self._answered(watch, event, now)

    def _answered(self, watch: _Watch, event: Response | Failure, now: float) -> None:
        status = status_of(event)
        none = isinstance(event, Response) and (event.headers.get("refer-sub") or "").strip().lower() == "false"
        subscribed = status < 300 and not none
        if watch not in self._watches.get((watch.call_id, watch.local_tag), ()):
            return  # Its last NOTIFY overtook the answer.
        if isinstance(event, Response):
            watch.cseqs.add(str(event.cseq.number))
        if not subscribed:
            self._drop(watch)
        elif watch.alarm is None:
            # "Timer N ... 64*T1": a subscription without a NOTIFY by then is none (RFC 6665 section 4.1.2.4).
            self._expect(watch, now + self._context.settings.timing.timeout)
        self._context.outputs.append(ReferAnswered(watch.name, status, subscribed))

    def _expect(self, watch: _Watch, at: float) -> None:
        """A NOTIFY must come until then."""
        if watch.alarm is not None:
            watch.alarm.stop()

        def silent(now: float) -> None:
            self._drop(watch)
            self._context.outputs.append(ReferProgress(watch.name, 408, "timeout", True))

        watch.alarm = self._context.alarm(at, silent)

    def _add(self, watch: _Watch) -> None:
        self._watches.setdefault((watch.call_id, watch.local_tag), []).append(watch)

    def _drop(self, watch: _Watch) -> None:
        if watch.alarm is not None:
            watch.alarm.stop()
        key = (watch.call_id, watch.local_tag)
        others = [other for other in self._watches.get(key, ()) if other is not watch]
        if others:
            self._watches[key] = others
        else:
            self._watches.pop(key, None)


def _dialog(watch: _Watch, message: Request | Response, remote_tag: str, remote: str) -> Dialog | None:
    request = watch.request
    if request is None:
        return None
    routes = message.headers.all("record-route")
    route_set = tuple(routes if isinstance(message, Request) else reversed(routes))
    try:
        target = target_of(message)
    except ParseError:
        target = request.uri
    return Dialog(watch.call_id, watch.local_tag, remote_tag, request.from_, remote, target, route_set, request.cseq)


def _expires(parameters: str) -> int:
    pairs = (part.partition("=") for part in parameters.split(";"))
    value = next((text.strip() for name, _, text in pairs if name.strip().lower() == "expires"), "")
    return min(int(value), _MOST) if value.isascii() and value.isdigit() and len(value) < 10 else _MOST
