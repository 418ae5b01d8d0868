"""Postgres and JetStream, behind the ports."""
