"""Loops that work on their own."""
