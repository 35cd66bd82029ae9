"""The vault: sealed personal values, blind indexes, fences (design §5). Plaintext leaves only through `reveal`.

A value is bound to subject, item and row: moved anywhere else it does not open. An index row exists only for
confirmed values; an unknown value maps to a keyed decoy so that answers and limits are the same for both.
"""
