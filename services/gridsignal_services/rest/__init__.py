"""The REST doors: a server for them all, its limits, who calls, and how they are told what is wrong."""
