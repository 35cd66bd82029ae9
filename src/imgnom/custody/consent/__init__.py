"""Who agreed to (or read) which text, when and how, and who took it back (A2.3, A3.0a)."""
