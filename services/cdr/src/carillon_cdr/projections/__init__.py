"""What the service knows from other services' events."""
