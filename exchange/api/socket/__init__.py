"""``/ws``: the handshake, a socket's conversation, what it subscribes to."""
