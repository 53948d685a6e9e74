"""Joint clearing: zones and periods decided together, with load that moves between them. A pure function of a case."""
