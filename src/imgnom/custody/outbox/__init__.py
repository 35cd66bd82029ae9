"""One outbox per store, written in the transaction of the act; the ledger's sequencer drains them all (rule C4)."""
