"""Offers and advertising, to those alone who agreed to them (A2.3, A2.3a-d). Not built yet."""
