"""The ledger: append-only acts on personal data, a Merkle tree (RFC 9162), signed checkpoints (C2SP), certificates
(A0.1, A4.2).

It never holds a personal value, so it never needs scrubbing. Order of a destruction: intent, fence, destroy, delete.
A rewritten or cut past is found by `verify_ledger` and, from outside, through older checkpoints.
"""
