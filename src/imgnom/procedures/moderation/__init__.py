"""The desk: staff remove pictures and comments with a reason; every look and act leaves a handler record (C3, X4)."""
