"""The front door: the command line, the configuration file and the demo."""

__version__ = "0.1.0"
