"""What is given out: provision with consent, requests of agencies, breaches (A5.1, A5.2, X3). Not built yet."""
