"""What can only be known where the truth is known: probabilities, thresholds and false alarms in simulated worlds."""
