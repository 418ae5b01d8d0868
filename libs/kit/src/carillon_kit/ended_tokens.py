"""Tokens that count no more before they expire, as the service that gives tokens publishes it and every verifier follows it.

Always: memory is bounded, and what is forgotten to keep it so ends more tokens, never fewer.
"""

from collections.abc import Callable
from datetime import UTC, datetime

#: Stands for whatever tenant a token names.
ANY_TENANT = "*"
_MOST = 100_000


class EndedTokens:
    """Whose tokens are ended, each until the last of them has expired anyway; times in seconds since 1970."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        #: By tenant (empty: above the tenants) and subject: tokens issued before count no more; until then it matters. The oldest first.
        self._ends: dict[tuple[str, str], tuple[float, float]] = {}
        self._everybody = 0.0
        self._listeners: list[Callable[[], None]] = []

    def listen(self, told: Callable[[], None]) -> None:
        """Call `told` after each that is added; it must not wait."""
        self._listeners.append(told)

    def add(self, tenant: str, subject: str, before: float, until: float) -> None:
        """Tokens of the subject issued before a time count no more; after `until` there are none of them left."""
        known = self._ends.pop((tenant, subject), (0.0, 0.0))
        self._ends[tenant, subject] = max(before, known[0]), max(until, known[1])
        now = datetime.now(UTC).timestamp()
        while self._ends:
            oldest = next(iter(self._ends))
            past = self._ends[oldest][1] < now
            if not past and len(self._ends) <= self._most:
                break
            forgotten, _ = self._ends.pop(oldest)
            self._everybody = self._everybody if past else max(self._everybody, forgotten)
        for told in self._listeners:
            told()

    def covers(self, tenant: str, subject: str, issued: float) -> bool:
        """Whether a token of the subject that was issued then counts no more."""
        ends = (self._ends.get(key, (0.0, 0.0))[0] for key in ((tenant, subject), (ANY_TENANT, subject)))
        return issued < max(self._everybody, *ends)
