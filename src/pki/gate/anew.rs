//! The gate's word on another chain for a leaf that passed it before: the path is judged as that of a new certificate is.

use super::{Remark, Text, Timestamp, path};
use crate::core::known::issuer::{IssuerPin, ServedChain};
use crate::core::known::observed::Leaf;
use crate::core::wanted::usage::Usage;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{self, Aim};
use crate::pki::purpose::Purpose;
use crate::pki::served;

/// What a chain is built from, and for.
#[derive(Clone, Copy, Debug)]
pub struct Above<'a> {
    /// The certificates at hand.
    pub pool: &'a [Certificate],
    /// Those of CAs that are trusted.
    pub issuers: &'a [Certificate],
    /// The CA that must be on the path.
    pub pin: Option<&'a IssuerPin>,
    /// The extended key usages that are wanted: the entry's, else those of the leaf.
    pub usages: &'a [Usage],
    /// The present.
    pub now: Timestamp,
}

/// A chain that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anew {
    /// From the leaf's issuer upward, without leaf and root.
    pub chain: Vec<Certificate>,
    /// The root, where it is known.
    pub root: Option<Certificate>,
    /// What is served above the leaf.
    pub served: ServedChain,
    /// What keeps some clients from the set, or cannot be judged.
    pub doubts: Vec<Remark>,
    /// What else is worth telling of the path.
    pub remarks: Vec<Remark>,
}

/// The best chain for `leaf`.
///
/// # Errors
///
/// Why no chain verifies, or that the pinned CA is not on the best one.
pub fn judge(leaf: &Certificate, facts: &Leaf, above: &Above<'_>) -> Result<Anew, Vec<Text>> {
    let purpose = Purpose::of(above.usages, &facts.usages);
    let aim = Aim { pin: above.pin, purpose, ..Aim::new(above.issuers, above.now) };
    let shown = |obstacle: &chain::Obstacle| Text::new(&obstacle.to_string());
    let built = chain::build(leaf, above.pool, &aim);
    let built = built.map_err(|obstacles| obstacles.iter().map(shown).collect::<Vec<_>>())?;
    if let Some(why) = path::unpinned(&built, above.pin) {
        return Err(vec![why]);
    }
    let served = served::of_chain(leaf, &built);
    let doubts =
        path::withheld(&built, above.usages, purpose).chain(path::unvouched(&built)).chain(path::doubted(&built));
    let doubts = doubts.collect();
    let remarks = path::vouched(&built).into_iter();
    let remarks = remarks.chain(served.end.as_ref().and_then(|end| path::ends_first(end, facts.not_after))).collect();
    Ok(Anew { chain: built.intermediates, root: built.root, served, doubts, remarks })
}
