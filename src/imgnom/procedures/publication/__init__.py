"""What is published: policy, terms, cookies, the board, the ledger (A0.1, A0.2, A8)."""
