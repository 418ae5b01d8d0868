"""What routing does with what it decides: floors of queues, and calls on them."""
