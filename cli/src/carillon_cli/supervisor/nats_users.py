"""Who may do what on the embedded NATS: each service its own subjects, the operator everything, a tenant its own events. Pure.

Always: no service may delete or purge a stream, and the directory alone may destroy single messages (persons who are erased); a tenant's
user can publish nothing and see nothing of another tenant.
"""

from collections.abc import Callable, Iterable

from carillon_contracts.config import ConferenceRoom, SipCredential, TrunkCredential
from carillon_contracts.streams import AUDIO_BUCKET, STREAMS, config_subject
from carillon_kit.embedded import NatsUser

OPERATOR = "operator"
EVERYTHING = (">",)
_ERASING = "$JS.API.STREAM.MSG.DELETE.>"
#: What a service may not do, whatever else is allowed, unless it is among its extras.
_LOSS = ("$JS.API.STREAM.DELETE.>", _ERASING)
_JETSTREAM = (
    "$JS.API.INFO",
    "$JS.API.STREAM.CREATE.*",
    "$JS.API.STREAM.UPDATE.*",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.DIRECT.GET.>",
    "$JS.API.CONSUMER.>",
    "$JS.ACK.>",
    "$JS.FC.>",
)
#: The object store replaces an object by purging the old one's chunks; of this bucket's stream alone.
_AUDIO = (f"$O.{AUDIO_BUCKET}.>", f"$JS.API.STREAM.PURGE.OBJ_{AUDIO_BUCKET}")
_EXTRA = {"directory": (_ERASING,), "media": _AUDIO, "voicemail": _AUDIO, "cdr": _AUDIO}


def tenant_user(tenant: str) -> str:
    """The name of a tenant's user."""
    return f"tenant-{tenant}"


def nats_users(services: Iterable[str], tenants: Iterable[str], password: Callable[[str], str]) -> tuple[NatsUser, ...]:
    """All users; `password(name)` gives the secret of a user."""
    found = [NatsUser(OPERATOR, password(OPERATOR))]
    for service in services:
        own = tuple(subject for stream in STREAMS if stream.publisher in (service, "*") for subject in stream.subjects)
        more = _EXTRA.get(service, ())
        refused = tuple(subject for subject in _LOSS if subject not in more)
        found.append(NatsUser(service, password(service), (*own, *_JETSTREAM, *more), ("_INBOX.>",), refused))
    for tenant in sorted(tenants):
        name = tenant_user(tenant)
        own = (f"carillon.{tenant}.>", f"_INBOX.{tenant}.>")
        # The hashes of SIP passwords are as good as the passwords (RFC 7616 section 5.13): they are for media alone, as sealed ones are.
        secrets = tuple(config_subject(tenant, kind.KIND, "*") for kind in (SipCredential, TrunkCredential, ConferenceRoom))
        found.append(NatsUser(name, password(name), (), own, EVERYTHING, secrets))
    return tuple(found)
