"""The vocabulary of headers and status codes: compact forms, lists, usual spelling, reason phrases.

Invariant: names compare in their canonical lower-case long form.
"""

from carillon_sip.errors import ParseError

#: Compact forms (RFC 3261 section 7.3.3 and later RFCs) by the canonical lower-case name.
COMPACT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length", "c": "content-type", "f": "from",
    "s": "subject", "k": "supported", "t": "to", "v": "via", "o": "event", "u": "allow-events", "r": "refer-to",
    "b": "referred-by", "x": "session-expires", "y": "identity", "d": "request-disposition", "j": "reject-contact",
    "a": "accept-contact", "n": "identity-info",
}  # fmt: skip

#: Headers whose value is a comma-separated list (RFC 3261 section 7.3.1); Authorization and challenges are not.
LISTS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "alert-info",
        "allow",
        "allow-events",
        "call-info",
        "contact",
        "content-encoding",
        "content-language",
        "diversion",
        "error-info",
        "history-info",
        "in-reply-to",
        "p-asserted-identity",
        "path",
        "proxy-require",
        "reason",
        "record-route",
        "require",
        "route",
        "service-route",
        "supported",
        "unsupported",
        "via",
        "warning",
    }
)

_USUAL = (
    "Via From To Call-ID CSeq Contact Max-Forwards Content-Length Content-Type User-Agent Allow Supported Expires Route Record-Route "
    "Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate Require Reason Server Accept Subject Session-Expires Min-SE "
    "P-Asserted-Identity Privacy Allow-Events Event Date Retry-After Warning Unsupported Min-Expires Diversion Call-Info Alert-Info "
    "Proxy-Require Content-Encoding Content-Disposition Accept-Language Accept-Encoding Timestamp Organization User-to-User"
)
#: Header names as they are usually written -> canonical lower-case name; what is not here is checked and lowered.
CANONICAL: dict[str, str] = {
    **{name: name.lower() for name in _USUAL.split()},
    **{name.lower(): name.lower() for name in _USUAL.split()},
    **COMPACT,
    **{letter.upper(): name for letter, name in COMPACT.items()},
}
_TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")


def canonical_name(name: str) -> str:
    """Lower-case long form of a header name; raises ParseError when it is no token."""
    known = CANONICAL.get(name)
    if known is not None:
        return known
    stripped = name.rstrip(" \t")
    if not stripped or not _TOKEN.issuperset(stripped):
        raise ParseError("a header name is not a token")
    lowered = stripped.lower()
    return COMPACT.get(lowered, lowered)


#: Reason phrases (RFC 3261 section 21 and later RFCs).
REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress", 199: "Early Dialog Terminated",
    200: "OK", 202: "Accepted", 204: "No Notification", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    305: "Use Proxy", 380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
    410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 428: "Use Identity Header", 433: "Anonymity Disallowed",
    439: "First Hop Lacks Outbound Support", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable", 500: "Server Internal Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported",
    513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip
