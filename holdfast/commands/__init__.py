"""One command a file; `holdfast.cli` loads the one that is called."""
