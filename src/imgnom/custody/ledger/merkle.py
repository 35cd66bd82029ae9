"""The Merkle tree of RFC 9162: hashes, inclusion and consistency proofs, and their verification. Pure functions.

`node(level, index)` gives the hash of the complete subtree of 2**level leaves number `index`; whoever stores those
nodes answers every proof in O(log n) look-ups.
"""

import hashlib
from collections.abc import Callable, Sequence

type NodeAt = Callable[[int, int], bytes]

EMPTY = hashlib.sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two smaller than size."""
    return 1 << ((size - 1).bit_length() - 1)


def range_root(begin: int, end: int, node: NodeAt) -> bytes:
    """Root over leaves begin..end-1, where begin is a multiple of the range's leading power of two."""
    size = end - begin
    if size == 0:
        return EMPTY
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, begin >> level)
    k = _split(size)
    return node_hash(range_root(begin, begin + k, node), range_root(begin + k, end, node))


def root(size: int, node: NodeAt) -> bytes:
    return range_root(0, size, node)


def inclusion_proof(index: int, size: int, node: NodeAt) -> list[bytes]:
    """Hashes from the leaf's sibling up (RFC 9162, 2.1.3.1). Raises ValueError outside the tree."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")

    def path(i: int, begin: int, end: int) -> list[bytes]:
        n = end - begin
        if n == 1:
            return []
        k = _split(n)
        if i < k:
            return [*path(i, begin, begin + k), range_root(begin + k, end, node)]
        return [*path(i - k, begin + k, end), range_root(begin, begin + k, node)]

    return path(index, 0, size)


def consistency_proof(old: int, new: int, node: NodeAt) -> list[bytes]:
    """RFC 9162, 2.1.4.1. Raises ValueError when old is no prefix size of new."""
    if not 0 < old <= new:
        raise ValueError("sizes out of order")

    def sub(m: int, begin: int, end: int, whole: bool) -> list[bytes]:
        n = end - begin
        if m == n:
            return [] if whole else [range_root(begin, end, node)]
        k = _split(n)
        if m <= k:
            return [*sub(m, begin, begin + k, whole), range_root(begin + k, end, node)]
        return [*sub(m - k, begin + k, end, False), range_root(begin, begin + k, node)]

    return sub(old, 0, new, True)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn & 1 == 0 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == expected_root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    steps = list(proof)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn & 1 == 0 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, c)
        fn >>= 1
        sn >>= 1
    return fr == old_root and sr == new_root and sn == 0
