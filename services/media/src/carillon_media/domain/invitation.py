"""The INVITE that rings a contact: who is shown as calling, where the answer goes."""

from carillon_media.domain.facts import Contact
from carillon_sip.commands import HeaderFields, Invite
from carillon_sip.flow import Address
from carillon_sip.uri import NameAddr, Uri

MAX_DISPLAY = 80


def own_contact(own: Address, transport: str) -> NameAddr:
    """Our Contact as the far end of a flow with this transport reaches us at `own`."""
    host, port = own
    host = f"[{host}]" if ":" in host else host
    return NameAddr(Uri("sip", "carillon", host, port, (("transport", transport),) if transport != "udp" else ()))


def answers_by_itself(domain: str) -> HeaderFields:
    """What makes phones answer by themselves: RFC 5373 says Answer-Mode, most phones want one of the two others."""
    return (
        ("Answer-Mode", "Auto"),
        ("Call-Info", f"<sip:{domain}>;answer-after=0"),
        ("Alert-Info", f"<http://{domain}>;info=alert-autoanswer;delay=0"),
    )


def invitation(
    contact: Contact,
    own: Address,
    *,
    caller_number: str,
    caller_name: str,
    body: bytes,
    max_forwards: int,
    auto_answer: bool = False,
    headers: HeaderFields = (),
) -> Invite:
    """An INVITE with our offer. RFC 3325: a trunk is told the caller in P-Asserted-Identity; RFC 3323: `anonymous` when withheld."""
    domain = contact.domain or own[0]
    name = caller_name[:MAX_DISPLAY]
    if contact.asserted and caller_number:
        headers = (
            *headers,
            ("P-Asserted-Identity", str(NameAddr(Uri("sip", caller_number, domain), name))),
        )
    if auto_answer:
        headers = (*headers, *answers_by_itself(domain))
    caller = NameAddr(Uri("sip", caller_number, domain), name)
    withheld = NameAddr(Uri("sip", "anonymous", "anonymous.invalid"), "Anonymous")
    return Invite(
        flow=contact.flow,
        request_uri=contact.uri,
        from_=caller if caller_number else withheld,
        to=NameAddr(Uri("sip", contact.number, domain)) if contact.number else NameAddr.of(contact.uri),
        contact=own_contact(own, contact.flow.transport),
        body=body,
        headers=headers,
        max_forwards=max(0, max_forwards - 1),
        route=contact.route,
        acks=False,
    )
