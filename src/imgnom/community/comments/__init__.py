"""Flat comments, and the page of a picture on which they stand (A2.1, A3.2①)."""
