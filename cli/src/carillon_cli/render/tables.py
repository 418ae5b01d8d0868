"""Tables and lines of records, live calls, messages and events.

Always: the JSON of a record has exactly the fields of `RECORD_FIELDS`, in that order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import cdr_pb2
from carillon.directory.v1 import line_pb2
from carillon.media.v1 import media_pb2, security_pb2
from carillon.voicemail.v1 import voicemail_pb2
from carillon_contracts.envelope import Event

RECORD_FIELDS = (
    "call_id",
    "tenant",
    "caller",
    "dialled",
    "answered_by",
    "direction",
    "status",
    "started_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "talk_seconds",
    "cause",
    "ended_by",
    "legs",
)
LEG_FIELDS = ("leg_id", "party", "number", "offered_at", "ringing_at", "answered_at", "ended_at", "cause", "ended_by")
#: What an event's line does not repeat from its data.
_NOISE = frozenset({"trace", "details", "before", "after"})


def iso(moment: Timestamp) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.ToDatetime(tzinfo=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _field(message: Message, name: str) -> Any:
    kind = message.DESCRIPTOR.fields_by_name[name]
    if kind.is_repeated:
        return [each if kind.message_type is None else message_json(each) for each in getattr(message, name)]
    if kind.message_type is not None and kind.message_type.full_name == "google.protobuf.Timestamp":
        return iso(getattr(message, name)) if message.HasField(name) else None
    value = getattr(message, name)
    if kind.enum_type is not None:
        values = kind.enum_type.values
        prefix = values[0].name.removesuffix("UNSPECIFIED")
        return kind.enum_type.values_by_number[value].name.removeprefix(prefix).lower()
    return value


def record_json(record: cdr_pb2.Record) -> dict[str, Any]:
    """A record as `carillon records --json` prints it; times that never came are null. `transfers` and the like: if there were any."""
    found = {name: _field(record, name) for name in RECORD_FIELDS if name != "legs"}
    found["legs"] = [{name: _field(leg, name) for name in LEG_FIELDS} for leg in record.legs]
    for name in ("transfers", "parkings", "queues"):
        if getattr(record, name):
            found[name] = _field(record, name)
    if record.HasField("pickup"):
        found["pickup"] = message_json(record.pickup)
    for name in ("took_over_call_id", "account_code"):
        if value := getattr(record, name):
            found[name] = value
    return found


def message_json(message: Message) -> dict[str, Any]:
    """A contract message as JSON, with what it repeats; times in RFC 3339."""
    return {field.name: _field(message, field.name) for field in message.DESCRIPTOR.fields}


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell, two spaces between."""
    cells = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _clock(moment: Timestamp) -> str:
    return f"{moment.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S}"


def records_table(records: Iterable[cdr_pb2.Record]) -> list[str]:
    """One row a record."""
    rows = []
    for record in records:
        found = record_json(record)
        rows.append(
            (
                _clock(record.started_at),
                record.caller or "withheld",
                record.dialled,
                record.answered_by or "-",
                found["direction"],
                found["status"],
                f"{record.talk_seconds:.1f}",
                record.cause,
                record.ended_by,
                record.call_id,
            )
        )
    heads = ("STARTED (UTC)", "CALLER", "DIALLED", "ANSWERED BY", "DIRECTION", "STATUS", "TALK S", "CAUSE", "ENDED BY", "CALL ID")
    return table(heads, rows)


def calls_table(calls: Iterable[media_pb2.LiveCall]) -> list[str]:
    """One row a live call."""
    rows = [
        (
            _clock(call.started_at),
            call.caller or "withheld",
            call.dialled,
            f"{call.state} {call.slot}".strip(),
            call.answered_by or "-",
            ", ".join(f"{leg.leg_id} {leg.party} {leg.state}" for leg in call.legs) or "-",
            call.call_id,
        )
        for call in calls
    ]
    return table(("STARTED (UTC)", "CALLER", "DIALLED", "STATE", "ANSWERED BY", "LEGS", "CALL ID"), rows)


def trunks_table(trunks: Iterable[media_pb2.TrunkState]) -> list[str]:
    """One row a trunk."""
    rows = [
        (
            trunk.trunk_id,
            trunk.registration,
            _clock(trunk.expires_at) if trunk.HasField("expires_at") else "-",
            "yes" if trunk.usable else "no",
            trunk.calls,
            ", ".join(f"{server.address} {server.state}" for server in trunk.servers) or "-",
            trunk.reason or "-",
        )
        for trunk in trunks
    ]
    return table(("TRUNK", "REGISTRATION", "UNTIL (UTC)", "USABLE", "CALLS", "SERVERS", "WHAT IS WRONG"), rows)


def registrations_table(registrations: Iterable[media_pb2.Registration]) -> list[str]:
    """One row a device."""
    rows = [
        (
            one.user_id,
            one.sip_user,
            one.source,
            one.node,
            one.user_agent or "-",
            _clock(one.registered_at),
            _clock(one.last_heard_at),
            _clock(one.expires_at),
            ", ".join(one.watched_by) or "-",
            one.message_notices,
        )
        for one in registrations
    ]
    return table(("USER", "SIP USER", "ADDRESS", "NODE", "USER AGENT", "SINCE (UTC)", "HEARD", "UNTIL", "WATCHED BY", "NOTICES"), rows)


def line_phones_table(phones: Iterable[line_pb2.LinePhone]) -> list[str]:
    """One row a SIP user name of a line."""
    states = {line_pb2.LINE_STATE_ONLINE: "online", line_pb2.LINE_STATE_OFFLINE: "offline"}
    rows = [
        (
            phone.sip_credential_id,
            states.get(phone.state, "?") + (f" since {_clock(phone.departed.left_at)}" if phone.HasField("departed") else ""),
            f"{phone.device_id} port {phone.port}" if phone.device_id else "-",
            phone.device_label or "-",
            " ".join(filter(None, (phone.vendor, phone.model))) or "-",
            phone.mac or "-",
            phone.owner or "-",
            phone.site_id or "-",
            phone.message_notices,
        )
        for phone in phones
    ]
    return table(("SIP USER", "STATE", "DEVICE", "LABEL", "MODEL", "MAC", "OWNER", "SITE", "NOTICES"), rows)


def messages_table(messages: Iterable[voicemail_pb2.Message]) -> list[str]:
    """One row a message."""
    rows = [
        (
            _clock(message.received_at),
            message.mailbox_id,
            message.caller_number or "withheld",
            f"{message.duration_ms / 1000:.1f}",
            _field(message, "state"),
            message.email_state,
            message.message_id,
        )
        for message in messages
    ]
    return table(("RECEIVED (UTC)", "MAILBOX", "CALLER", "SECONDS", "STATE", "E-MAIL", "MESSAGE ID"), rows)


def _brief(data: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in data.items() if key not in _NOISE and value not in (None, "", {}, []))


def event_line(event: Event) -> str:
    """`10:15:00.123 dupont call.leg_ringing  #4 b1 0193... sip_status=180`"""
    kind = event.type.removeprefix("carillon.").rsplit(".", 1)[0]
    place = f"#{event.seq} {event.legid or '-'}" if event.seq is not None else f"config {event.configseq}" if event.configseq else "-"
    moment = event.time
    head = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} {event.tenantid}"
    return f"{head} {kind:<26} {place:<8} {event.subject}  {_brief(event.data)}".rstrip()


def bans_table(bans: Sequence[security_pb2.Ban]) -> list[str]:
    """One row an address or account that is kept out."""
    rows = [(ban.source or ban.account, ban.WhichOneof("banned"), ban.reason, ban.offence, _clock(ban.until)) for ban in bans]
    return table(("WHO", "IS", "BECAUSE OF", "TIMES", "UNTIL (UTC)"), rows)
