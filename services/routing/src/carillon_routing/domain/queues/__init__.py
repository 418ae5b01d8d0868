"""Callers who wait and the agents who answer them, as pure functions: `decide(floor, command) -> events`, `evolve(floor, event) -> floor`.

All queues of a tenant are one aggregate, its floor: agents serve several queues, and only what decides on all of them at once can promise
that nobody is rung twice.
"""
