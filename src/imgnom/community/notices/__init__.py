"""Notices and events: what the site announces, changes of the policy among it (A0.3). Not built yet."""
