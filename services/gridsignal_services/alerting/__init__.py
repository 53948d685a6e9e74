"""Alerts and what sites say of them: read from the log, kept as a table, and told to who has not heard."""
