"""XML bodies of event packages, built by xml.etree only.

Invariant: what comes out is well-formed XML 1.0 in UTF-8, whatever text goes in.
"""

import re
from xml.etree.ElementTree import Element, SubElement, tostring

#: Characters that XML 1.0 cannot hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_XML.sub("", text)


def root(name: str, namespace: str, **attributes: str) -> Element:
    """The top element with its namespace as the default one; `_` in attribute names is `-`."""
    return Element(name, {"xmlns": namespace, **_attributes(attributes)})


def child(parent: Element, name: str, text: str = "", **attributes: str) -> Element:
    """One more element; attributes that are empty are left out."""
    made = SubElement(parent, name, _attributes(attributes))
    if text:
        made.text = xml_text(text)
    return made


def to_bytes(top: Element) -> bytes:
    """The document with its declaration."""
    written: bytes = tostring(top, encoding="UTF-8", xml_declaration=True)
    return written


def _attributes(attributes: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): xml_text(value) for name, value in attributes.items() if value}
