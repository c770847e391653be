"""Settle: turns what the venue reports into bookings, private events and answers."""
