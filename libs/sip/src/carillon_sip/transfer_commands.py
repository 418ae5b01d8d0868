"""The commands of a user agent that concern transfer and deflection.

Invariant: commands for a REFER that is already over are ignored, because such races are normal.
"""

from collections.abc import Sequence

from carillon_sip.context import Fields
from carillon_sip.parts import Parts
from carillon_sip.refer import Refer
from carillon_sip.uri import NameAddr


class TransferCommands(Parts):
    """REFER both ways, and 3xx answers."""

    def refer(self, refer: Refer, *, now: float) -> str:
        """Ask the far end to call somebody (ReferAnswered, ReferProgress); returns the REFER's name."""
        session = self._context.sessions.get(refer.session) if refer.session is not None else None
        return self._refers_out.refer(refer, session, now)

    def accept_refer(self, refer: str, *, now: float) -> None:
        """202, and NOTIFY 100 Trying when there is a subscription; then the user calls and tells by `notify_refer`."""
        self._refers_in.accept(refer, now)

    def decline_refer(self, refer: str, status: int = 603, *, now: float) -> None:
        """Refuse a REFER."""
        if not 300 <= status < 700:
            raise ValueError(f"{status} does not refuse")
        self._refers_in.decline(refer, status, now)

    def notify_refer(self, refer: str, status: int, reason: str | None = None, *, now: float) -> None:
        """Tell how the call that was asked for goes; a status of 200 or more is the last."""
        self._refers_in.progress(refer, status, reason, now)

    def redirect(self, session: str, contacts: Sequence[NameAddr], status: int = 302, *, headers: Fields = (), now: float) -> None:
        """Answer a call with 3xx and where to try instead, best first (q values are the user's); the session is gone."""
        if not 300 <= status < 400 or not contacts:
            raise ValueError("a 3xx with at least one contact")
        if (found := self._context.sessions.get(session)) is not None:
            fields = [*(("Contact", str(contact)) for contact in contacts), *headers]
            self._incoming.reject(found, status, None, fields, now)
