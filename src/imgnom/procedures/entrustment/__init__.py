"""Processors: who is entrusted with what, announced and consented to beforehand (A6.1, A6.2). Not built yet."""
