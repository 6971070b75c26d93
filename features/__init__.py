"""From an event log to behavioural features, point in time: a feature is a function of one user's events before a cutoff."""
