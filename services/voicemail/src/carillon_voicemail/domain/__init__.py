"""What a mailbox says, keeps and writes. Pure."""
