"""What a call, a leg, a registration is and what may happen to it: pure, without clock, sockets or chance."""
