"""The log's meaning: records in, state and accepted records out. No bus, no clock, no task."""
