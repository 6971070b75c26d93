"""How fast scores are served."""
