"""RFC 9162 against the published Certificate Transparency vectors, and against a slow tree.

The figures are those of Certificate Transparency's own tests (leaves, roots, audit paths, consistency proofs for the
eight leaves below), written down here once; the product's tree and the outsider's verifier are held against both.
"""

import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgnom.custody.ledger import merkle

LEAVES = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


# Place of the leaf, size of the tree, audit path.
INCLUSION = [
    (0, 1, []),
    (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b", "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
# Size before, size after, consistency proof.
CONSISTENCY = [
    (1, 1, []),
    (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import verify_ledger as outsider  # noqa: E402 - it is one file that is handed out alone, and no package


class SlowTree:
    def __init__(self, entries: list[bytes]) -> None:
        self.hashes = [merkle.leaf_hash(entry) for entry in entries]

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.hashes[index]
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root(size, SlowTree(LEAVES).node).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert hashlib.sha256(b"").digest() == merkle.EMPTY


def _bytes(proof: list[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in proof]


def _wrong(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with a bit turned, a step too few, a step too many, or in another order."""
    turned = [[*proof[:n], bytes([one[0] ^ 1]) + one[1:], *proof[n + 1 :]] for n, one in enumerate(proof)]
    return [*turned, proof[:-1], proof[1:], [*proof, proof[-1]], *([proof[::-1]] if len(proof) > 1 else [])]


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_audit_paths_are_the_published_ones_and_no_others_hold(index: int, size: int, path: list[str]) -> None:
    tree, proof, root = SlowTree(LEAVES), _bytes(path), bytes.fromhex(ROOTS[size - 1])
    assert merkle.inclusion_proof(index, size, tree.node) == proof
    assert merkle.verify_inclusion(tree.hashes[index], index, size, proof, root)
    assert outsider.leaf_hash(LEAVES[index]) == tree.hashes[index]
    assert outsider.root_from_path(tree.hashes[index], index, size, proof) == root
    for wrong in _wrong(proof) if proof else []:
        assert not merkle.verify_inclusion(tree.hashes[index], index, size, wrong, root)
        try:
            assert outsider.root_from_path(tree.hashes[index], index, size, wrong) != root
        except outsider.Broken:
            continue
    for place, count in ((-1, size), (size, size), (index, 0), (0, -1)):
        assert not merkle.verify_inclusion(tree.hashes[index], place, count, proof, root)
        with pytest.raises(outsider.Broken):
            outsider.root_from_path(tree.hashes[index], place, count, proof)


@pytest.mark.clause("A0.1")
@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones_and_no_others_hold(old: int, new: int, path: list[str]) -> None:
    proof, before, after = _bytes(path), bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1])
    assert merkle.consistency_proof(old, new, SlowTree(LEAVES).node) == proof
    assert merkle.verify_consistency(old, new, before, after, proof)
    outsider.ensure_consistent(old, new, before, after, proof)
    other = bytes.fromhex(ROOTS[3])
    forged = [(old, new, before, after, wrong) for wrong in (_wrong(proof) if proof else [[other]])]
    forged += [(old, new, other, after, proof), (old, new, before, other, proof)]
    forged += [
        (new + 1, new, before, after, proof),
        (0, new, before, after, proof),
    ]
    for one in forged:
        assert not merkle.verify_consistency(*one)
        with pytest.raises(outsider.Broken):
            outsider.ensure_consistent(*one)


@pytest.mark.parametrize("size", range(9))
def test_the_outsider_folds_the_same_roots_from_the_leaves(size: int) -> None:
    stack: list[tuple[int, bytes]] = []
    for entry in LEAVES[:size]:
        digest, level = outsider.leaf_hash(entry), 0
        while stack and stack[-1][0] == level:
            digest, level = outsider.node_hash(stack.pop()[1], digest), level + 1
        stack.append((level, digest))
    assert outsider.fold(stack) == (bytes.fromhex(ROOTS[size - 1]) if size else merkle.EMPTY)


@settings(max_examples=80)
@given(st.integers(1, 60), st.data())
def test_every_leaf_proves_itself_and_nothing_else(size: int, data: st.DataObject) -> None:
    tree = SlowTree([bytes([n]) for n in range(size)])
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, tree.node)
    root = merkle.root(size, tree.node)
    assert merkle.verify_inclusion(tree.hashes[index], index, size, proof, root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
    old = data.draw(st.integers(1, size))
    consistency = merkle.consistency_proof(old, size, tree.node)
    assert merkle.verify_consistency(old, size, merkle.root(old, tree.node), root, consistency)
    assert old == size or not merkle.verify_consistency(old, size, merkle.leaf_hash(b"forged"), root, consistency)
