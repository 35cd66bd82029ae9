"""Pictures: taken in through a jail, stripped before the first write, served as our own type (A2.1)."""
