"""The nouns of the exchange and the messages that travel between its parts."""
