"""Globally routable user agent URIs (RFC 5627): one phone of an address of record, named for the whole world.

Invariant: what is read here says only what a URI claims; whether such a phone is registered is the registrar's to know.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from carillon_sip.uri import Uri, quote

#: The option tag (section 8.1) and the URI parameter (section 8.2).
OPTION = "gruu"
PARAMETER = "gr"


class Gruus(NamedTuple):
    """The two URIs of one instance; `temporary` may be "" when none is given out."""

    public: str
    temporary: str = ""

    def contact_parameters(self) -> str:
        """As they stand in the answer to a REGISTER (section 5.3)."""
        temporary = f";temp-gruu={quote(self.temporary)}" if self.temporary else ""
        return f";pub-gruu={quote(self.public)}{temporary}"


#: GRUUs of an instance (a URN) that registered with this Call-ID and CSeq.
MakeGruus = Callable[[str, str, int], Gruus]
#: Instances that may stand in a URI as they are: URNs of UUIDs, of IMEIs, of MAC addresses.
_URN = re.compile(r"<(urn:[A-Za-z0-9:._-]{1,120})>")


def urn_of(instance: str) -> str:
    """The URN of a `+sip.instance`; "" when it is none that a URI can hold, and such a phone has no GRUU."""
    found = _URN.fullmatch(instance)
    return found[1] if found else ""


def public_gruu(user: str, domain: str, instance: str) -> str:
    """`sip:user@domain;gr=urn:uuid:...` (section 3.1.1)."""
    return str(Uri("sip", user, domain, None, ((PARAMETER, instance),)))


def temporary_gruu(token: str, domain: str) -> str:
    """`sip:token@domain;gr`: nothing in it tells whose it is (section 3.1.2)."""
    return str(Uri("sip", token, domain, None, ((PARAMETER, None),)))


def instance_of(uri: Uri) -> str | None:
    """The instance that a public GRUU names, "" for a temporary one, None for what is no GRUU."""
    return uri.parameter(PARAMETER)
