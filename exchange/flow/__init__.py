"""A recorded order flow, played by clients message by message, and the reports they were told."""
