"""Floor 1: how personal data is kept: six stores, keys, vault, consents, guard, archive, ledger."""
