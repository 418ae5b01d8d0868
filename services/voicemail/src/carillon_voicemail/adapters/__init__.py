"""Postgres, mail transports and JetStream, behind the ports."""
