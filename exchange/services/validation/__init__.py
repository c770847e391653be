"""The one gate of the exchange: what is admitted gets a number and a time, and nothing else does."""
