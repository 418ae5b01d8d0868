"""The INVITE to a carrier: the number in its format, who calls in the headers that it wants, who forwarded the call.

RFC 3325: the asserted identity is for the carrier alone; RFC 3323: who withholds the number is `anonymous` in From, with Privacy: id.
"""

from collections.abc import Sequence

from carillon_contracts import hops
from carillon_media.domain.diversion import Diverted, diversion_values, history_value
from carillon_media.domain.facts import Contact
from carillon_media.domain.invitation import MAX_DISPLAY, own_contact
from carillon_media.domain.trunk_lines import TrunkLine
from carillon_media.domain.trunk_numbers import written
from carillon_sip.commands import HeaderFields, Invite
from carillon_sip.flow import Address
from carillon_sip.uri import NameAddr, Uri

#: RFC 3323 section 4.1.1.3.
ANONYMOUS = NameAddr(Uri("sip", "anonymous", "anonymous.invalid"), "Anonymous")
_ASSERTED = {"p_asserted_identity": "P-Asserted-Identity", "p_preferred_identity": "P-Preferred-Identity"}


def trunk_invitation(
    contact: Contact,
    line: TrunkLine,
    own: Address,
    *,
    caller_number: str,
    caller_name: str,
    diversions: Sequence[Diverted],
    body: bytes,
    max_forwards: int,
) -> Invite:
    """An INVITE with our offer. `caller_number` empty: withheld; `diversions`: who sent the call on, first first."""
    domain = line.domain or contact.domain or own[0]
    name = caller_name[:MAX_DISPLAY]
    return Invite(
        flow=contact.flow,
        request_uri=contact.uri,
        from_=_from(line, domain, caller_number, name),
        to=NameAddr(Uri("sip", Uri.parse(contact.uri).user, domain)),
        contact=own_contact(own, contact.flow.transport),
        body=body,
        headers=(*_identity(line, domain, caller_number, name), *_diverted(line, domain, contact, diversions)),
        max_forwards=max(0, hops.left(hops.HOPS - max_forwards, sent_on=bool(diversions))),
        credentials=line.credentials,
        acks=False,
    )


def _from(line: TrunkLine, domain: str, caller_number: str, name: str) -> NameAddr:
    if not caller_number:
        return ANONYMOUS
    user = line.account if line.trunk.identity.from_number == "account" else ""
    return NameAddr(Uri("sip", user or _written(line, caller_number), domain), name)


def _identity(line: TrunkLine, domain: str, caller_number: str, name: str) -> HeaderFields:
    """The carrier learns a number of ours even when the called must not."""
    number = caller_number or line.main_number
    header = _ASSERTED.get(line.trunk.identity.asserted, "")
    headers: HeaderFields = ()
    if header and number:
        headers = ((header, str(NameAddr(Uri("sip", _written(line, number), domain), name if caller_number else ""))),)
    return headers if caller_number else (*headers, ("Privacy", "id"))


def _diverted(line: TrunkLine, domain: str, contact: Contact, diversions: Sequence[Diverted]) -> HeaderFields:
    wanted = line.trunk.identity.diversion
    if not diversions or wanted == "none":
        return ()
    ours = [Diverted(_written(line, each.number), each.reason) for each in diversions]
    headers: HeaderFields = ()
    if wanted in ("diversion", "both"):
        headers = tuple(("Diversion", value) for value in diversion_values(ours, domain))
    if wanted in ("history_info", "both"):
        headers = (*headers, ("History-Info", history_value(ours, Uri.parse(contact.uri).user, domain)))
    return headers


def _written(line: TrunkLine, number: str) -> str:
    return written(number, line.trunk.caller_format, line.country)
