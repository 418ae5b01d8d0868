"""Fakes that ship with the library: a virtual network with a virtual clock, and predictable tokens."""

from carillon_sip.testing.virtual_network import Faults, Node, Tokens, VirtualNetwork

__all__ = ["Faults", "Node", "Tokens", "VirtualNetwork"]
