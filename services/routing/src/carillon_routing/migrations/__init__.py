"""Routing's own tables, besides the kit's."""
