"""The data center's half of `gridsignal.v1`."""
