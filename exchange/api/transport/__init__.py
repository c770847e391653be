"""HTTP/1.1 and WebSocket below the routes: uvicorn's protocols with the bounds and deadlines they lack."""
