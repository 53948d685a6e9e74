"""gridsignal's services: three doors around one log."""
