"""A market on show: a server of its own and bots that trade on it over HTTP and WebSocket."""
