"""Adapters of media: everything that touches disks, sockets, processes and other services."""
