"""Rules beside the venue: each service owns its state alone and knows no other."""
