"""PINs as hashes: `scrypt$<salt>$<hash>`, slow enough against guessing on stolen data, quick enough for a call.

A PIN has few digits: whoever checks one counts the wrong tries and locks.
"""

import hashlib
import hmac
import re

#: 4 MiB and about 10 ms a check.
_COST = {"n": 4096, "r": 8, "p": 1, "dklen": 32}
_PIN = re.compile(r"[0-9]{4,12}")
PIN_RULE = "4 to 12 digits"


def pin_fits(pin: str) -> bool:
    """Whether it may be used as a PIN."""
    return _PIN.fullmatch(pin) is not None


def hash_pin(pin: str, salt: str) -> str:
    """What is kept of a PIN; the salt is new for each."""
    return f"scrypt${salt}${hashlib.scrypt(pin.encode(), salt=salt.encode(), **_COST).hex()}"


def verify_pin(pin: str, kept: str) -> bool:
    """Whether it is the PIN that `hash_pin` made `kept` of; False for anything else, an empty `kept` included."""
    method, _, rest = kept.partition("$")
    salt, _, digest = rest.partition("$")
    return method == "scrypt" and bool(digest) and hmac.compare_digest(hash_pin(pin, salt).rpartition("$")[2], digest)
