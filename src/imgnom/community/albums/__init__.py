"""Albums: pictures that a member gathers under a name of their own (A2.1). Not built yet."""
