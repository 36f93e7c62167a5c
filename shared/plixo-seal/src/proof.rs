//! Proofs: that a leaf is in a tree ([RFC 9162, 2.1.3](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3)), and that a tree
//! only grew ([2.1.4](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4)).

use crate::tree::{Hash, Range, node_hash};

/// The proof that the leaf at `index` is in the tree of those leaves; `None` where there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    leaves.get(index)?;
    let (mut tree, mut index, mut proof) = (leaves, index, Vec::new());
    while let Some((left, right)) = halves(tree) {
        if index < left.len() {
            proof.push(root(right));
            tree = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            tree = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The proof that the tree of those leaves is what became of the tree of the first `before` of them; `None` where there are
/// fewer. It is empty where nothing has to be proven: from no leaves, and from all of them.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], before: usize) -> Option<Vec<Hash>> {
    leaves.get(..before)?;
    let (mut tree, mut before, mut proof) = (leaves, before, Vec::new());
    if before == 0 {
        return Some(proof);
    }
    // Whether the tree of before begins where this one does: then who verifies knows its root.
    let mut is_known = true;
    while before < tree.len() {
        let (left, right) = halves(tree)?;
        if before <= left.len() {
            proof.push(root(right));
            tree = left;
        } else {
            proof.push(root(left));
            before -= left.len();
            tree = right;
            is_known = false;
        }
    }
    if !is_known {
        proof.push(root(tree));
    }
    proof.reverse();
    Some(proof)
}

/// Whether a proof shows that the leaf of that hash is at `index` of the tree of that size and root.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node / 2, last / 2);
    }
    last == 0 && hash == *root
}

/// Whether a proof shows that the tree of size and root `after` is what became of the one of size and root `before`.
#[must_use]
pub fn verify_consistency(before: (u64, &Hash), after: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((size, root), (size_after, root_after)) = (before, after);
    if size == size_after {
        return proof.is_empty() && root == root_after;
    }
    if size == 0 {
        return proof.is_empty() && *root == Range::new().root();
    }
    if size > size_after {
        return false;
    }
    let mut proof = proof.iter();
    // The root of a perfect tree is a node of the larger one, so the proof leaves it out.
    let Some(first) = (if size.is_power_of_two() { Some(root) } else { proof.next() }) else { return false };
    let (mut node, mut last) = (size - 1, size_after - 1);
    while node % 2 == 1 {
        (node, last) = (node / 2, last / 2);
    }
    let (mut old, mut new) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node / 2, last / 2);
    }
    last == 0 && old == *root && new == *root_after
}

/// The two subtrees: the left one has the largest power of two of leaves that leaves one over.
fn halves(leaves: &[Hash]) -> Option<(&[Hash], &[Hash])> {
    if leaves.len() < 2 { None } else { leaves.split_at_checked(leaves.len().next_power_of_two() / 2) }
}

fn root(leaves: &[Hash]) -> Hash {
    let mut range = Range::new();
    leaves.iter().for_each(|leaf| range.push(*leaf));
    range.root()
}
