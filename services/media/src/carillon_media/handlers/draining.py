"""A node on its way out: no new calls but for help, the old ones go on, registrations are refreshed, edges are sent elsewhere.

Invariant: draining never turns back; it ends with the process.
"""

from carillon_media.handlers.admission import Admission
from carillon_media.handlers.registrar import Registrar
from carillon_media.handlers.switchboard import Switchboard


class Draining:
    """`drain` may be said as often as one likes."""

    def __init__(self, admission: Admission, registrar: Registrar, board: Switchboard) -> None:
        self._admission = admission
        self._registrar = registrar
        self._board = board

    @property
    def draining(self) -> bool:
        """Whether it was said."""
        return self._admission.draining

    @property
    def calls(self) -> int:
        """Calls that are up or being set up."""
        return len(self._board.calls)

    def drain(self) -> None:
        """Take no new calls."""
        self._admission.draining = self._registrar.draining = True

    async def wait(self, seconds: float) -> None:
        """Until the calls have ended by themselves, or the time is over; then nothing is taken any more, not even for help."""
        await self._board.drain(seconds)
        self._admission.closed = self._registrar.closed = True
