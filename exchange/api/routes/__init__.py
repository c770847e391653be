"""The operations of the API, by topic, and the one table that lists them."""
