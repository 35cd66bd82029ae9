"""Viewing, correcting, consenting (A7.1, A7.2a)."""
