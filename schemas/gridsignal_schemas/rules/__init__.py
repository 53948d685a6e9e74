"""The rules of the market that both sides of the wire apply: what is refused, with which code, and what follows.

The ledger reduces by them, the gateway in memory that ships with the SDK answers by them: so neither is stricter.
"""
