"""How fast events become features."""
