"""What routing knows, folded from published events."""
