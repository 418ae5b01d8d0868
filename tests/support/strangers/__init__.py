"""The running system and the independent peers that test it: SIPp, baresip, a plain NATS client, a reflection client."""
