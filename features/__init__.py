"""From an event log to features: each a function of one user's events before a cutoff."""
