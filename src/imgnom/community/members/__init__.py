"""Members: joining, signing in, sessions, letters (A1.1, A2.2, A2.2a, A2.2b).

The main database knows an ID and an e-mail only as random tokens; the values lie in the vault.
"""
