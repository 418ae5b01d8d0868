"""Tables of media's schema."""
