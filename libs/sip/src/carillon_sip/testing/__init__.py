"""Fakes that ship with the library: a virtual network with a virtual clock, predictable tokens, and scenarios over them."""

from carillon_sip.testing.scenarios import SDP, Pair, Stranger, full_settings, make_full_pair, make_pair, request_text
from carillon_sip.testing.virtual_network import Faults, Node, Tokens, VirtualNetwork

__all__ = [
    "SDP",
    "Faults",
    "Node",
    "Pair",
    "Stranger",
    "Tokens",
    "VirtualNetwork",
    "full_settings",
    "make_full_pair",
    "make_pair",
    "request_text",
]
