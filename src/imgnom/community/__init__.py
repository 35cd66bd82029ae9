"""Floor 3: what people use."""
