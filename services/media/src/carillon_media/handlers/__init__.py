"""What media does with what comes in: admit calls, carry their machine's outputs out, register devices, recover after a crash."""
