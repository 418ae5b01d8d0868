"""What the makers' forms share: XML made by a library, text files of one setting a line, offsets of time zones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as Xml
from zoneinfo import ZoneInfo

#: The phone book's name below a device's address.
BOOK = "phonebook.xml"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    content_type: str
    body: bytes


def children(parent: Xml.Element, values: Mapping[str, object], **attributes: str) -> None:
    """An element a value, each with the attributes."""
    for name, value in values.items():
        Xml.SubElement(parent, name, attributes).text = str(value)


def items(config: Xml.Element, values: Mapping[str, object]) -> None:
    """Grandstream's items with one part each, by dotted name."""
    for name, value in values.items():
        item = Xml.SubElement(config, "item", {"name": name.rpartition(".")[0]})
        Xml.SubElement(item, "part", {"name": name.rpartition(".")[2]}).text = str(value)


def xml(root: Xml.Element) -> File:
    """With a declaration."""
    return File("application/xml", Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def text(lines: list[str]) -> File:
    """Line by line."""
    return File("text/plain; charset=utf-8", "".join(f"{line}\n" for line in lines).encode())


def utc_offset(zone: str) -> timedelta:
    """Of the zone in winter: phones add daylight saving by themselves."""
    offset = ZoneInfo(zone).utcoffset(datetime(2026, 1, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)))
    assert offset is not None
    return offset


def offset(zone: str, *, colon: bool = False) -> str:
    """`+1`, `+5:30`; with `colon` `+01:00`."""
    minutes = int(utc_offset(zone).total_seconds() // 60)
    sign, (hours, rest) = "+" if minutes >= 0 else "-", divmod(abs(minutes), 60)
    if colon:
        return f"{sign}{hours:02d}:{rest:02d}"
    return f"{sign}{hours}:{rest:02d}" if rest else f"{sign}{hours}"
