"""Checkpoints: the ledger of a partition at a position, on disk, so that a start need not read all that came before."""
