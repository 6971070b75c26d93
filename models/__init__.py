"""What a trained churn model is and knows: calibrated probabilities, reasons, and a bundle of text that is checked before it serves."""
