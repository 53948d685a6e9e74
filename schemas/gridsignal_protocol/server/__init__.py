"""The gateway's half of `gridsignal.v1`."""
