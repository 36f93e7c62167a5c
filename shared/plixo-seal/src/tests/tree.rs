use proptest::prelude::*;

use super::*;

/// Leaves, subtrees' roots, roots and proofs that implementations of the tree are tested with since Certificate Transparency's
/// first: <https://github.com/transparency-dev/merkle/blob/main/testonly>.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hash(text: &str) -> Hash {
    Hash(hex::decode(text).unwrap().try_into().unwrap())
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

fn known(size: usize) -> Vec<Hash> {
    LEAVES[..size].iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect()
}

fn range(leaves: &[Hash]) -> Range {
    let mut range = Range::new();
    leaves.iter().for_each(|leaf| range.push(*leaf));
    range
}

#[test]
fn roots_are_the_known_ones() {
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(range(&known(size)).root(), hash(root), "{size}");
    }
}

#[test]
fn inclusion_proofs_are_the_known_ones() {
    let known_proofs: [(usize, usize, &[&str]); 7] = [
        (0, 1, &[]),
        (0, 2, &["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"]),
        (1, 2, &["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"]),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ];
    for (index, size, proof) in known_proofs {
        assert_eq!(inclusion_proof(&known(size), index), Some(hashes(proof)), "{index} of {size}");
    }
    assert_eq!(inclusion_proof(&known(3), 3), None);
    assert_eq!(inclusion_proof(&[], 0), None);
}

#[test]
fn consistency_proofs_are_the_known_ones() {
    let known_proofs: [(usize, usize, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ];
    for (before, size, proof) in known_proofs {
        assert_eq!(consistency_proof(&known(size), before), Some(hashes(proof)), "{before} of {size}");
    }
    assert_eq!(consistency_proof(&known(3), 4), None);
    assert_eq!(consistency_proof(&known(3), 0), Some(Vec::new()));
}

/// The root as RFC 9162, 2.1.1 defines it.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let half = (0..).map(|power| 1 << power).take_while(|half| *half < leaves.len()).last().unwrap();
            node_hash(&defined(&leaves[..half]), &defined(&leaves[half..]))
        }
    }
}

fn numbered(size: usize) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

#[test]
fn every_small_tree_is_as_defined_and_every_proof_of_it_holds() {
    for size in 0..40 {
        let leaves = numbered(size);
        let (root, number) = (defined(&leaves), u64::try_from(size).unwrap());
        assert_eq!(range(&leaves).root(), root);
        for (index, leaf) in leaves.iter().enumerate() {
            let proof = inclusion_proof(&leaves, index).unwrap();
            assert!(verify_inclusion(leaf, u64::try_from(index).unwrap(), number, &root, &proof));
        }
        for before in 0..=size {
            let proof = consistency_proof(&leaves, before).unwrap();
            let old = (u64::try_from(before).unwrap(), &defined(&leaves[..before]));
            assert!(verify_consistency(old, (number, &root), &proof), "{before} to {size}");
        }
    }
}

/// A root does not tell its tree's size, so a proof must be as long as the size asks for.
#[test]
fn a_proof_of_another_size_does_not_hold() {
    let leaves = numbered(8);
    let root = |size: usize| defined(&leaves[..size]);
    let inclusion = |size: usize, index| inclusion_proof(&leaves[..size], index).unwrap();
    let consistency = |before, size: usize| consistency_proof(&leaves[..size], before).unwrap();
    assert!(verify_inclusion(&leaves[7], 7, 8, &root(8), &inclusion(8, 7)));
    assert!(!verify_inclusion(&leaves[7], 3, 4, &root(8), &inclusion(8, 7)));
    assert!(!verify_inclusion(&leaves[0], 0, 8, &root(4), &inclusion(4, 0)));
    assert!(verify_consistency((7, &root(7)), (8, &root(8)), &consistency(7, 8)));
    assert!(!verify_consistency((3, &root(7)), (4, &root(8)), &consistency(7, 8)));
    assert!(!verify_consistency((2, &root(2)), (8, &root(4)), &consistency(2, 4)));
}

proptest! {
    #[test]
    fn a_range_is_stored_and_grows_on(size in 0_usize..300, more in 0_usize..20) {
        let leaves = numbered(size + more);
        let stored = range(&leaves[..size]).to_bytes();
        prop_assert!(stored.len() <= 8 + 64 * 32);
        let mut grown = Range::from_bytes(&stored).unwrap();
        leaves[size..].iter().for_each(|leaf| grown.push(*leaf));
        prop_assert_eq!(grown.root(), defined(&leaves));
        prop_assert!(Range::from_bytes(&stored[..stored.len() - 1]).is_none());
        for more in [1, 32] {
            prop_assert!(Range::from_bytes(&[stored.as_slice(), &vec![0; more]].concat()).is_none());
        }
    }

    #[test]
    fn a_proof_shows_one_leaf_at_one_place(
        (size, index) in (1_usize..200).prop_flat_map(|size| (Just(size), 0..size)),
        other in any::<prop::sample::Index>(), bit in 0_usize..256, at in any::<prop::sample::Index>(),
    ) {
        let leaves = numbered(size);
        let (number, place) = (u64::try_from(size).unwrap(), u64::try_from(index).unwrap());
        let (root, leaf) = (defined(&leaves), leaves[index]);
        let proof = inclusion_proof(&leaves, index).unwrap();
        let holds = |leaf: &Hash, place, proof: &[Hash]| verify_inclusion(leaf, place, number, &root, proof);
        prop_assert!(holds(&leaf, place, &proof));
        let other = other.index(size);
        if other != index {
            prop_assert!(!holds(&leaves[other], place, &proof));
            prop_assert!(!holds(&leaf, u64::try_from(other).unwrap(), &proof));
        }
        prop_assert!(!holds(&leaf, number, &proof));
        prop_assert!(!holds(&leaf, place, &[proof.as_slice(), &[root]].concat()));
        prop_assert!(!verify_inclusion(&leaf, place, number, &flipped(&root, bit), &proof));
        if !proof.is_empty() {
            prop_assert!(!holds(&leaf, place, &proof[1..]));
            prop_assert!(!holds(&leaf, place, &proof[..proof.len() - 1]));
            let mut altered = proof.clone();
            let at = at.index(altered.len());
            altered[at] = flipped(&altered[at], bit);
            prop_assert!(!holds(&leaf, place, &altered));
        }
    }

    #[test]
    fn a_proof_shows_that_nothing_before_was_altered(
        (size, before) in (1_usize..200).prop_flat_map(|size| (Just(size), 1..=size)),
        altered_leaf in any::<prop::sample::Index>(), bit in 0_usize..256, at in any::<prop::sample::Index>(),
    ) {
        let leaves = numbered(size);
        let sizes = (u64::try_from(before).unwrap(), u64::try_from(size).unwrap());
        let (old, new) = (defined(&leaves[..before]), defined(&leaves));
        let proof = consistency_proof(&leaves, before).unwrap();
        let holds = |old: &Hash, new: &Hash, proof: &[Hash]| {
            verify_consistency((sizes.0, old), (sizes.1, new), proof)
        };
        prop_assert!(holds(&old, &new, &proof));
        prop_assert!(!holds(&flipped(&old, bit), &new, &proof));
        prop_assert!(!holds(&old, &flipped(&new, bit), &proof));
        prop_assert!(!holds(&old, &new, &[proof.as_slice(), &[new]].concat()));
        if before < size {
            prop_assert!(!verify_consistency((sizes.1, &new), (sizes.0, &old), &proof));
            // A log whose past was rewritten has a proof of its own, but none from the old root.
            let mut rewritten = leaves.clone();
            let leaf = altered_leaf.index(before);
            rewritten[leaf] = flipped(&rewritten[leaf], bit);
            let forged = consistency_proof(&rewritten, before).unwrap();
            prop_assert!(!holds(&old, &defined(&rewritten), &forged));
            prop_assert!(!holds(&old, &new, &proof[..proof.len() - 1]));
            let mut altered = proof.clone();
            let at = at.index(altered.len());
            altered[at] = flipped(&altered[at], bit);
            prop_assert!(!holds(&old, &new, &altered));
        }
    }
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = hash.0;
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash(bytes)
}
