"""Members: joining, signing in, sessions, letters. The main database knows an ID and an e-mail only as random tokens."""
