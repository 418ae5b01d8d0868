"""The makers whose phones are provisioned: which files they ask for, and who makes them.

Always: a file is for one device, known by the MAC or serial in its name; what a name does not say is none of that maker's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from carillon_contracts.config import Device
from carillon_directory.domain.provisioning import cisco, gigaset, grandstream, polycom, snom, yealink
from carillon_directory.domain.provisioning.forms import File
from carillon_directory.domain.provisioning.phone import Entry, Phone

FileKind = Literal["settings", "phone_book", "boot", "nothing"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says: which kind, of which MAC or serial (empty: it does not say), and which page of a phone book (0: all)."""

    kind: FileKind
    identity: str = ""
    page: int = 0


@dataclass(frozen=True, slots=True)
class Maker:
    """How a maker's phones ask, and what they are told. `files`: patterns of names, with the MAC or serial in the group `id`,
    and the page in `page`.

    `pages`: of phones that take few entries at once; gets the page (0: the list of pages) and where the files are. `boot`: of a MAC.
    `settings`: of phones, `base`: of DECT bases with handsets; None: the maker has none that are known here.
    """

    files: tuple[tuple[re.Pattern[str], FileKind], ...]
    settings: Callable[[Phone], File] | None = None
    phone_book: Callable[[tuple[Entry, ...]], File] | None = None
    pages: Callable[[tuple[Entry, ...], int, str], File] | None = None
    boot: Callable[[str], File] | None = None
    base: Callable[[Phone], File] | None = None

    def template(self, device: Device) -> Callable[[Phone], File] | None:
        """What makes the settings of such a device; None: nothing here does."""
        return self.base if device.type == "base" else self.settings

    def asked(self, name: str) -> Named | None:
        """Which file is meant; None: none of this maker's."""
        for pattern, kind in self.files:
            if match := pattern.fullmatch(name):
                said = match.groupdict()
                return Named(kind, (said.get("id") or "").lower(), int(said.get("page") or 0))
        return None


def maker_named(vendor: str) -> str:
    """Key of `MAKERS` for a device's `vendor`, as people write it; empty: none."""
    plain = re.sub("[^a-z]", "", vendor.lower())
    return next((name for name in MAKERS if plain.startswith(name)), "")


def maker_of(vendor: str) -> Maker | None:
    """By the device's `vendor`, as people write it."""
    return MAKERS.get(maker_named(vendor))


def _patterns(*names: tuple[str, FileKind]) -> tuple[tuple[re.Pattern[str], FileKind], ...]:
    found = []
    for name, kind in (*names, (r"phonebook\.xml", "phone_book")):
        pattern = name.replace("{mac}", "(?P<id>[0-9A-Fa-f]{12})").replace("{serial}", r"(?P<id>[A-Za-z0-9._-]{4,64})")
        found.append((re.compile(pattern), kind))
    return tuple(found)


#: By how their name begins, without anything but letters.
MAKERS: Mapping[str, Maker] = {
    "yealink": Maker(
        _patterns(
            (r"{mac}\.cfg", "settings"),
            (r"y0{6,11}[0-9]{0,6}\.cfg", "nothing"),
            (r"{mac}\.boot", "nothing"),
            (r"y0+\.boot", "nothing"),
        ),
        yealink.settings,
        yealink.phone_book,
        base=yealink.base,
    ),
    "snom": Maker(_patterns((r"(?:snom[A-Za-z0-9]*-)?{mac}\.(?:htm|xml)", "settings")), snom.settings, snom.phone_book, base=snom.base),
    "gigaset": Maker(_patterns((r"{mac}\.xml", "settings")), base=gigaset.base),
    "grandstream": Maker(_patterns((r"cfg{mac}(?:\.xml)?", "settings")), grandstream.settings, grandstream.phone_book),
    "polycom": Maker(
        _patterns(
            (r"{mac}\.cfg", "boot"),
            (r"{mac}-phone\.cfg", "settings"),
            (r"0{12}-directory\.xml", "phone_book"),
            (r"{mac}-directory\.xml", "phone_book"),
        ),
        polycom.settings,
        polycom.phone_book,
        boot=polycom.boot,
    ),
    "cisco": Maker(
        _patterns(
            (r"(?:spa)?{mac}\.(?:xml|cfg)", "settings"),
            (r"spa{serial}\.xml", "settings"),
            (r"phonebook-(?P<page>[1-9][0-9]{0,2})\.xml", "phone_book"),
        ),
        cisco.settings,
        cisco.whole_phone_book,
        pages=cisco.phone_book,
    ),
}
