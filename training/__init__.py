"""From history to a registered model: labels, splits by time, fit, calibration, baselines and an honest verdict."""
