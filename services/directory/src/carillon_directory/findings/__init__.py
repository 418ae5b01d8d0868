"""What is said of findings in plans, one file a language; `{name}` for each value."""
