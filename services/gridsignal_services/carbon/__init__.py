"""Carbon and certificates as pure functions: what was known of a zone's carbon, and what it makes of an energy."""
