"""A whole market in virtual time: the exchange, a network and bots in one event loop that never waits."""
