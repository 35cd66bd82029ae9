"""Leaving, destroying what is due, and the receipt (A3, A4, A7.2b)."""
