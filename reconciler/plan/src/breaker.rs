//! The prune breaker: a plan that would delete much, or data, waits for somebody to say yes.

use serde::{Deserialize, Serialize};

use crate::ObjectKey;

/// Limits above which deletions wait for an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// More deletions than this wait.
    pub objects_max: usize,
    /// A larger share of an app's objects than this waits.
    pub percent_max: usize,
    /// Fewer deletions than this never count as a share: removing one object of three is daily work.
    pub share_from: usize,
}

impl Default for Breaker {
    /// 25 objects or 20 percent.
    fn default() -> Self {
        Self {
            objects_max: 25,
            percent_max: 20,
            share_from: 5,
        }
    }
}

/// Kinds whose deletion takes data or other people's objects with it.
pub(crate) const PROTECTED: [(&str, &str); 4] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
];

impl Breaker {
    /// Returns the reasons for which these deletions wait, or none when they may go on.
    ///
    /// `total` is the number of objects which the app had before.
    #[must_use]
    pub fn check(&self, deletes: &[&ObjectKey], total: usize) -> Vec<String> {
        let mut reasons = Vec::new();
        let count = deletes.len();
        if count > self.objects_max {
            reasons.push(format!(
                "deletes {count} objects, more than {}",
                self.objects_max
            ));
        }
        let percent = count * 100 / total.max(1);
        if count >= self.share_from && percent > self.percent_max {
            reasons.push(format!(
                "deletes {count} of {total} objects ({percent} %, more than {} %)",
                self.percent_max
            ));
        }
        reasons.extend(Self::data(deletes));
        reasons
    }

    /// The reasons that hold however few the deletions are: they take data with them.
    pub(crate) fn data(deletes: &[&ObjectKey]) -> Vec<String> {
        let protected = deletes
            .iter()
            .filter(|key| PROTECTED.iter().any(|(group, kind)| key.is(group, kind)));
        protected.map(|key| format!("deletes {key}")).collect()
    }
}
