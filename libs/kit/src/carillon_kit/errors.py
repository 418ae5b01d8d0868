"""What a servicer raises, and the rich `google.rpc.Status` that a client gets for it.

Invariant: an `ApiError` says nothing that the caller may not know; everything else a servicer raises becomes INTERNAL with an
error id and no detail.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

if TYPE_CHECKING:
    from pydantic import ValidationError

#: A client refuses more than 8 KiB of metadata (gRPC's default) and then learns nothing at all; the message travels in it twice.
_LONGEST_TEXT = 500
_LONGEST_VIOLATIONS = 4000
#: What a violation takes besides its texts.
_FRAME = 16


class ApiError(Exception):
    """Base of errors that a client is told about: a gRPC code, a sentence, and typed details."""

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = _short(message)

    def details(self) -> Sequence[Message]:
        """The `google.rpc` details of this error."""
        return ()

    def to_status(self) -> status_pb2.Status:
        """The `google.rpc.Status` that travels in `grpc-status-details-bin`."""
        return status_pb2.Status(code=self.code.value[0], message=self.message, details=_packed(self.details()))


class InvalidArgument(ApiError):
    """Fields that do not do: dotted field path -> reason (`google.rpc.BadRequest`)."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, violations: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in violations.items()) or "the request is not valid")
        self.violations = dict(violations)

    @classmethod
    def of(cls, error: "ValidationError") -> "InvalidArgument":
        """A pydantic error as field violations; paths are dotted, list positions are numbers (`branches.0.target`)."""
        violations: dict[str, str] = {}
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(str(part) for part in item["loc"]) or "request"
            violations[path] = f"{violations[path]}; {item['msg']}" if path in violations else item["msg"]
        return cls(violations)

    def details(self) -> Sequence[Message]:
        """One `BadRequest` with a violation per field; the last one says how many did not fit."""
        shown, left_out = _fitting(self.violations.items())
        if left_out:
            shown.append(("request", f"{left_out} more"))
        fields = [error_details_pb2.BadRequest.FieldViolation(field=f, description=r) for f, r in shown]
        return (error_details_pb2.BadRequest(field_violations=fields),)


class NotFound(ApiError):
    """The resource named is not there, or not for this caller."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.resource = resource

    def details(self) -> Sequence[Message]:
        """The resource (`google.rpc.ResourceInfo`)."""
        return (error_details_pb2.ResourceInfo(resource_name=_short(self.resource), description=self.message),)


class AlreadyExists(ApiError):
    """A resource of that name is there already."""

    code = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} already exists")
        self.resource = resource

    def details(self) -> Sequence[Message]:
        """The resource (`google.rpc.ResourceInfo`)."""
        return (error_details_pb2.ResourceInfo(resource_name=_short(self.resource), description=self.message),)


class Aborted(ApiError):
    """The resource changed meanwhile (etag, expected version): read it again and repeat."""

    code = grpc.StatusCode.ABORTED

    def __init__(self, reason: str) -> None:
        super().__init__(reason)

    def details(self) -> Sequence[Message]:
        """The reason (`google.rpc.ErrorInfo`)."""
        return (error_details_pb2.ErrorInfo(reason="CONFLICT", domain="carillon", metadata={"detail": self.message}),)


class FailedPrecondition(ApiError):
    """The system's state forbids it: (type, subject, description) for each thing that holds it (`google.rpc.PreconditionFailure`)."""

    code = grpc.StatusCode.FAILED_PRECONDITION

    def __init__(self, violations: Iterable[tuple[str, str, str]]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{subject}: {description}" for _, subject, description in self.violations) or "not possible now")

    def details(self) -> Sequence[Message]:
        """One `PreconditionFailure` with a violation per holder; the last one says how many did not fit."""
        shown, left_out = _fitting(self.violations)
        if left_out:
            shown.append(("MORE", "", f"{left_out} more"))
        violation = error_details_pb2.PreconditionFailure.Violation
        held = [violation(type=t, subject=s, description=d) for t, s, d in shown]
        return (error_details_pb2.PreconditionFailure(violations=held),)


class PermissionDenied(ApiError):
    """The caller is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED

    def __init__(self, message: str = "not allowed") -> None:
        super().__init__(message)


class Unauthenticated(ApiError):
    """The caller is not known."""

    code = grpc.StatusCode.UNAUTHENTICATED

    def __init__(self, message: str = "a valid token is needed") -> None:
        super().__init__(message)


class Unavailable(ApiError):
    """Something this needs is away; worth a retry."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, message: str = "not available now") -> None:
        super().__init__(message)


def internal_status(error_id: str) -> status_pb2.Status:
    """What a client gets for a fault of ours: an id that is found in the log, and nothing else."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain="carillon", metadata={"error_id": error_id})
    return status_pb2.Status(code=code_pb2.INTERNAL, message=f"internal error {error_id}", details=_packed((info,)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."


def _fitting(violations: Iterable[tuple[str, ...]]) -> tuple[list[tuple[str, ...]], int]:
    """The first ones, as many as a client can be sent, and how many are left out."""
    shortened = [tuple(map(_short, texts)) for texts in violations]
    room = _LONGEST_VIOLATIONS
    for number, texts in enumerate(shortened):
        room -= sum(len(text.encode()) for text in texts) + _FRAME
        if room < 0:
            return shortened[:number], len(shortened) - number
    return shortened, 0


def _packed(details: Iterable[Message]) -> list[any_pb2.Any]:
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    return packed
