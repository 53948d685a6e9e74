"""Who acts for a zone: the announcements, clearings and timers that its ledger says are due, written by its owner."""
