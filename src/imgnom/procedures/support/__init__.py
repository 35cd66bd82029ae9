"""Consultations and applications: questions, complaints, disputes (A2.2e, A3.2④). Not built yet."""
