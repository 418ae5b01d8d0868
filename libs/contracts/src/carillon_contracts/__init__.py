"""What Carillon publishes: events, the configuration they carry, and the streams they travel on.

A published event never changes its meaning; a new version is a new type.
"""
