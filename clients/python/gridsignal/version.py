"""The version of this package, without asking the installation's metadata: `gridsignal --version` answers at once."""

__version__ = "0.1.0"
