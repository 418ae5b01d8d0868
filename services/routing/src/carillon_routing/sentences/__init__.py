"""What is said of traces, one file a language; `en.toml` holds the very words of the traces, `{name}` for each value."""
