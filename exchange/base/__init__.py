"""What everything stands on: time, entropy, random streams and every bound."""
