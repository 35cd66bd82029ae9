"""Floor 4: what policy and staff do across rooms."""
