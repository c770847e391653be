"""What clients see: HTTP and WebSocket messages, and the only place where integers become decimals."""
