"""What media knows of the configuration, folded from its events."""
