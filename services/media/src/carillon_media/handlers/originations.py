"""Calls that begin at a phone outside, or at a number of the tenant's: the phone rings, then an application decides."""

from collections.abc import Mapping
from dataclasses import replace

from carillon_contracts.config import Tenant
from carillon_media.domain import inputs
from carillon_media.domain.facts import CallFacts
from carillon_media.handlers.control import CallControl, Refused
from carillon_media.handlers.first_phones import phones_at

#: The argument with which routing has a phone called that must hear of a call for help.
NOTICE = "emergency_notice"


async def originate_at(
    control: CallControl,
    tenant: str,
    phone: str,
    user_id: str,
    destination: str,
    requested_by: str,
    ring_seconds: float,
    arguments: Mapping[str, str],
    call_id: str = "",
) -> str:
    """Ring the phone (E.164) in the rights of the user, empty: of the tenant's admins, then ask what comes next; the call's id. Raises
    Refused."""
    board, accounts = control.board, control.accounts
    config = accounts.config(tenant)
    own = config.get(Tenant, tenant) if config is not None else None
    caller = accounts.caller_number_of(tenant, user_id) if user_id else own.main_number if own is not None else ""
    facts = CallFacts(
        tenant=tenant,
        call_id=call_id or str(board.parts.ids.uuid7()),
        direction="from_user",
        caller=caller,
        caller_name="",
        caller_user_id=user_id or None,
        dialled=destination,
        trunk_id=None,
        started_at=board.parts.clock.now(),
        node=board.parts.node,
    )
    contacts, ring = await phones_at(board, facts, phone, NOTICE if NOTICE in arguments else "call")
    if control.full:
        raise Refused("no more calls are taken now")
    if facts.call_id in board.calls:
        raise Refused(f"call {facts.call_id} is up")
    if not contacts:
        raise Refused(f"nothing can be reached at {phone}")
    facts = replace(facts, caller=phone)
    shown = ring.caller_number or caller
    board.originate(facts, inputs.Originated(contacts, ring.caller_name, requested_by, ring_seconds, shown=shown, arguments=arguments))
    return facts.call_id
