"""The durable log of accepted commands."""
