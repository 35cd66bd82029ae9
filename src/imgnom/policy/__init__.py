"""Floor 0: what we promise. Pure: no Django, no clock, no randomness, no network."""
