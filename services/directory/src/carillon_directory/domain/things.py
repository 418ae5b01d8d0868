"""Where a verb is the truth: phones that are moved and handed out, schedules that get a year's holidays."""

from pydantic import JsonValue

from carillon_contracts.config import Device, Schedule, SipCredential, User
from carillon_directory.domain import documents
from carillon_directory.domain.commands import AssignDevice, Document, ImportHolidays, MoveDevice
from carillon_directory.domain.conclude import Piece, State, conclude
from carillon_directory.domain.documents import Secret
from carillon_directory.domain.outcomes import Decision, Invalid, Missing, Stale, Violation, under


def import_holidays(state: State, command: ImportHolidays) -> Decision:
    """What else is in the schedule stays; what it is not to do on such a day is said by an exception."""
    schedule = state.config.schedules.get(command.schedule_id)
    if schedule is None:
        return Missing(Schedule.KIND, command.schedule_id)
    of_it = (command.country, command.region, command.year)
    kept: list[Document] = [
        each.model_dump(mode="json") for each in schedule.holidays if (each.country, each.region, each.date.year) != of_it
    ]
    holidays = sorted([*kept, *command.holidays], key=lambda each: (str(each["date"]), str(each.get("region", ""))))
    return _changed(state, command, schedule, command.etag, {"holidays": [dict(each) for each in holidays]})


def move_device(state: State, command: MoveDevice) -> Decision:
    """In stock it is nobody's."""
    device = state.config.get(Device, command.device_id)
    if device is None:
        return Missing(Device.KIND, command.device_id)
    fields: Document = {"site_id": command.site_id} if command.site_id else {"site_id": "", "lines": []}
    return _changed(state, command, device, command.etag, fields)


def assign_device(state: State, command: AssignDevice) -> Decision:
    """One port, whoever had it; other ports stay."""
    device = state.config.get(Device, command.device_id)
    if device is None:
        return Missing(Device.KIND, command.device_id)
    credential_id = command.sip_credential_id
    if command.user_id:
        if command.user_id not in state.config.users:
            return Missing(User.KIND, command.user_id)
        credential_id = _credential_of(state, device, command.user_id)
        if not credential_id:
            return Invalid((Violation("user_id", f"user {command.user_id!r} has no SIP credential"),))
    kept = [each for each in device.lines if command.port not in (0, each.port)]
    lines: list[dict[str, JsonValue]] = [each.model_dump(mode="json") for each in kept]
    if credential_id:
        handset = next((each.ipei for each in device.lines if each.port == command.port), "")
        lines.append({"port": command.port, "sip_credential_id": credential_id, "label": command.label, "ipei": handset})
    return _changed(state, command, device, command.etag, {"lines": [*lines]})


def _credential_of(state: State, device: Device, user_id: str) -> str:
    """The user's own, of several the first that no other device has; empty: none."""
    own = [each.id for each in state.config.sip_credentials.values() if (each.home_user_id or each.user_id) == user_id]
    free = [each for each in own if not {*state.index.referring(SipCredential.KIND, each)} - {(Device.KIND, device.id)}]
    return next(iter([*free, *own]), "")


def _changed(
    state: State, command: ImportHolidays | MoveDevice | AssignDevice, resource: Schedule | Device, etag: str, fields: Document
) -> Decision:
    if etag and etag != resource.etag:
        return Stale(resource.KIND, resource.id, resource.etag)
    parsed = documents.parse(resource.KIND, {**documents.dump(resource), **fields}, resource, Secret("", ""))
    if parsed.resource is None:
        return Invalid(tuple(under(resource.KIND, violation) for violation in parsed.violations))
    return conclude(state, command, [Piece(resource.KIND, resource, parsed.resource)])
