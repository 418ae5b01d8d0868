"""What services check tokens by, published by the directory: keys on `carillon._operator.keys.<kid>`, and on
`carillon._operator.keys.ended` whose tokens count no more."""

from datetime import datetime
from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData


class KeyPublished(EventData):
    """A public key as a JWK (RFC 8037 section 2)."""

    TYPE: ClassVar[str] = "keys.published.v1"
    kid: str
    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str


class TokensEnded(EventData):
    """A login or a key was removed, or is not what its tokens say: those issued before count no more, although they have not expired."""

    TYPE: ClassVar[str] = "keys.tokens_ended.v1"
    #: As the tokens name it; empty: above the tenants; `*`: whatever they name.
    tenant: str
    #: As the tokens name it: `user/ann`, `key/<id>`, `reseller/west/key/<id>`.
    subject: str
    before: datetime
    #: Until the last of them has expired, after which this can be forgotten.
    until: datetime
