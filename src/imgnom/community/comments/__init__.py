"""Flat comments, and the page of a picture on which they stand."""
