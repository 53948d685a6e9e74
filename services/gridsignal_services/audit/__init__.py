"""What can be proved of a log: records, heads that extend one another, and that its decisions follow from it."""
