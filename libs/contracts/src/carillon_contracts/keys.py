"""What tokens are signed with, published by the directory on `carillon._operator.keys.<kid>` for every service to check tokens."""

from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData


class KeyPublished(EventData):
    """A public key as a JWK (RFC 8037 section 2)."""

    TYPE: ClassVar[str] = "keys.published.v1"
    kid: str
    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
