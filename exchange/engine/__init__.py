"""Rules of the venue: books, matching, bands and phases. Accounts are opaque numbers here."""
