"""Whether the promises are kept: what is checked here and now, what a rehearsal proved, and the board (A0.1, I12)."""
