"""Access records (A1.2, A3.1, A3.2②): address and device sealed under the random key of their Seoul day.

A request only puts its visit into a bounded queue in memory; a thread of the process seals and writes batches
(`writer`). Sign-ins and sign-outs are written before the answer leaves. Plain addresses are never on disk.
"""
