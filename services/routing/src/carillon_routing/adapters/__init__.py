"""Routing's ports on the real thing."""
