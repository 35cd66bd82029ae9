"""Access records (A1.2, A3.1, A3.2②): address and device sealed under the random key of their Seoul day."""
