"""Lists of resources (RFC 4662): one subscription tells the state of many, each as a document of its own event package.

Invariant: a boundary stands in no part; `cid`s of the list are the Content-IDs of its parts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from carillon_sip.xml_body import child, root, to_bytes

#: The option tag (section 9).
EXTENSION = "eventlist"
MULTIPART = "multipart/related"
CONTENT_TYPE = "application/rlmi+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:rlmi"


@dataclass(frozen=True, slots=True)
class ListedResource:
    """One resource of a list: its URI, what it is called, and the document that tells its state."""

    uri: str
    name: str
    body: bytes
    content_type: str


def event_list(uri: str, version: int, resources: Sequence[ListedResource], *, full: bool = True) -> tuple[bytes, str]:
    """Body and content type of the list `uri`; not `full`: only the resources that changed (section 5.2)."""
    mark = hashlib.sha256(b"\0".join(resource.body for resource in resources) + uri.encode()).hexdigest()[:24]
    top = root("list", _NAMESPACE, uri=uri, version=str(version), fullState="true" if full else "false")
    for number, resource in enumerate(resources):
        listed = child(top, "resource", uri=resource.uri)
        if resource.name:
            child(listed, "name", resource.name)
        child(listed, "instance", id="1", state="active", cid=f"{number}@{mark}")
    parts = [_part(f"list@{mark}", f"{CONTENT_TYPE};charset=UTF-8", to_bytes(top))]
    parts += [_part(f"{number}@{mark}", resource.content_type, resource.body) for number, resource in enumerate(resources)]
    body = b"".join(b"--%s\r\n%s\r\n" % (mark.encode(), part) for part in parts) + b"--%s--\r\n" % mark.encode()
    return body, f'{MULTIPART};type="{CONTENT_TYPE}";start="<list@{mark}>";boundary="{mark}"'


def is_list(content_type: str) -> bool:
    """Whether a body of this type is a list, whose NOTIFY and 200 must hold `Require: eventlist` (section 4.5)."""
    return content_type.startswith(f'{MULTIPART};type="{CONTENT_TYPE}"')


def _part(content_id: str, content_type: str, body: bytes) -> bytes:
    head = f"Content-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode() + body
