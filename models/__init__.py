"""What a trained churn model is and knows: calibrated probabilities, reasons, and a bundle checked before it serves."""
