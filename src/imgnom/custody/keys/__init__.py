"""Data keys, wrapped under the epoch's key-encryption key (KEK), and the turn of an epoch (design §5).

Every subject, picture file, day of access records and archive entry has a random 256-bit key of its own; destroying
its row here destroys all that it sealed (A4.2, NIST SP 800-88 cryptographic erase). The KEK, the pepper, the index
key and the ledger's signing key are files of the keyring, outside every store.
"""
