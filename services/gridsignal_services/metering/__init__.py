"""What the meters said: the readings stream, read and kept for those who measure orders by it."""
