"""The one-way list of A3.2③: slow, keyed, and never readable. Only a final sanction writes it."""
