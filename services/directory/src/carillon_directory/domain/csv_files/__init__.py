"""Tables as CSV files: read, checked by line and column in the reader's language, written. Pure."""
