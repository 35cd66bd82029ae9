"""Backup and restore (A4.2, I9): copies that cannot bring back what was destroyed.

A set holds the stores and the sealed originals, never the keys, never the keyring, never a display size. The one copy
of the keys lies apart and is renewed at each turn of an epoch. A restore is a program: it replays every destruction
and serves nobody before it has ended. docs/backup.md is for operators; limits stand there and in docs/limits.md.
"""
