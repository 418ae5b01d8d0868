"""Refusals of the domain become the rich errors that clients get."""

from typing import assert_never

from carillon_directory.domain.outcomes import Conflict, Exceeded, Exists, Forbidden, Held, Invalid, Missing, Refused, Stale
from carillon_kit.errors import Aborted, AlreadyExists, ApiError, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied


def api_error(refused: Refused) -> ApiError:
    """The rich error that a refusal becomes."""
    match refused:
        case Invalid(violations):
            reasons: dict[str, str] = {}
            for each in violations:
                reasons[each.field] = f"{reasons[each.field]}; {each.reason}" if each.field in reasons else each.reason
            return InvalidArgument(reasons)
        case Missing(kind, resource_id):
            return NotFound(f"{kind} {resource_id!r}")
        case Exists(kind, resource_id):
            return AlreadyExists(f"{kind} {resource_id!r}")
        case Stale(kind, resource_id, current):
            return Aborted(f"{kind} {resource_id!r} has changed: its etag is {current!r} now")
        case Held(kind, resource_id, holders):
            what = f"{kind} {resource_id!r}"
            return FailedPrecondition(
                [("REFERENCE", f"{each.kind}/{each.resource_id}", f"{each.field} depends on {what}") for each in holders]
            )
        case Exceeded(excesses):
            return FailedPrecondition([("SUBSCRIPTION", f"subscription.{what}", reason) for what, reason in excesses])
        case Conflict(conflicts):
            return FailedPrecondition([("CONFLICT", subject, reason) for subject, reason in conflicts])
        case Forbidden(reason):
            return PermissionDenied(reason)
        case _:
            assert_never(refused)
