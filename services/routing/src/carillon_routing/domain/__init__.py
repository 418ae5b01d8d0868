"""Where a call goes, as pure functions: no clock, no randomness, no input or output. `advance` is the one entrance."""
