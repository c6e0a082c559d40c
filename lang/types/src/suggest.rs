//! "Did you mean": the nearest of the known names, by edit distance. Knows strings only.

/// Names longer than this are not compared: no name of a schema is, and the cost is quadratic.
const LONGEST: usize = 80;

/// The candidate nearest to `written`, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.is_empty() || written.len() > LONGEST {
        return None;
    }
    let folded = fold(written);
    let limit = match folded.len() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, usize, &str)> = None;
    for candidate in candidates {
        if candidate == written || candidate.len() > LONGEST {
            continue;
        }
        let other = fold(candidate);
        if other.len().abs_diff(folded.len()) > limit {
            continue;
        }
        // Another spelling of the same word (`image_pull_policy`) is nearer than any edit.
        let near = if other == folded {
            0
        } else {
            1 + distance(&folded, &other)
        };
        // At least half of the word must be right.
        if near > limit + 1 || near * 2 > folded.len().max(other.len()) + 2 {
            continue;
        }
        // Among equals, the one with the same capitals.
        let exact = distance(written.as_bytes(), candidate.as_bytes());
        if best.is_none_or(|(n, e, _)| (near, exact) < (n, e)) {
            best = Some((near, exact, candidate));
        }
    }
    best.map(|(.., name)| name)
}

/// Small letters without separators, so that `image-pull-policy` and `imagePullPolicy` are equal.
fn fold(name: &str) -> Vec<u8> {
    name.bytes()
        .filter(|b| !matches!(b, b'_' | b'-' | b' '))
        .map(|b| b.to_ascii_lowercase())
        .collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbors.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row = vec![0; width];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..width {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let fields = [
            "replicas",
            "selector",
            "template",
            "minReadySeconds",
            "imagePullPolicy",
        ];
        let near = |word| nearest(word, fields);
        assert_eq!(near("replcias"), Some("replicas"));
        assert_eq!(near("Selector"), Some("selector"));
        assert_eq!(near("image_pull_policy"), Some("imagePullPolicy"));
        assert_eq!(near("minReadySecond"), Some("minReadySeconds"));
        assert_eq!(near("volumes"), None);
        assert_eq!(near("x"), None);
        assert_eq!(near(""), None);
    }
}
