"""The ledger: append-only acts on personal data, a Merkle tree (RFC 9162), signed checkpoints (C2SP), certificates.

What was done can be checked by anybody (A0.1), and so can that it was destroyed (A4.2).

It never holds a personal value, so it never needs scrubbing. Order of a destruction: intent, fence, destroy, delete.
A rewritten or cut past is found by `verify_ledger` and, from outside, through older checkpoints.
"""
