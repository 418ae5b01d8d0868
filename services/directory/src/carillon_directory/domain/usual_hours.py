"""What a new schedule is open at when nothing is said: Monday to Friday, 09:00 to 12:00 and 13:00 to 18:00."""

from carillon_contracts.config import Schedule
from carillon_directory.domain.commands import Document

_USUAL = (("09:00", "12:00"), ("13:00", "18:00"))


def with_usual_hours(kind: str, document: Document) -> Document:
    """The document of a new schedule with opening hours; any other, and one that says when it is open, as it is."""
    if kind != Schedule.KIND or document.get("ranges") or document.get("exceptions"):
        return document
    return {**document, "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": start, "end": end} for start, end in _USUAL]}
