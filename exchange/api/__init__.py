"""How clients reach the exchange: protocol, routes and streams."""
