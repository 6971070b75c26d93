"""What people and systems use: the score store, the nightly scores, and the HTTP service in front of them."""
