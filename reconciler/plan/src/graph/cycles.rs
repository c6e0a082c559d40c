//! Takes edges out until none of them goes in a circle. It knows numbers alone.

/// An edge between two nodes by number; those with a lower strength give way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) on: usize,
    pub(super) strength: Strength,
    /// Where several could give way, those with a higher number do.
    pub(super) against: usize,
}

/// What may be done about a cycle with this edge in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// It is left out.
    Order,
    /// It is left out: the objects find each other later.
    Inferred,
    /// Somebody wrote it: the cycle is an error.
    Explicit,
    /// The server insists on it: the cycle is an error.
    Hard,
}

/// What became of the edges.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// Positions of edges that are left out.
    pub(super) dropped: Vec<usize>,
    /// Cycles of edges that must not be left out; the first node is not repeated at the end. Their edges are
    /// among the dropped ones all the same: whoever is in a cycle fails for it.
    pub(super) cycles: Vec<Vec<usize>>,
}

/// Finds what has to be left out.
pub(super) fn break_cycles(nodes: usize, links: &[Link]) -> Broken {
    let mut broken = Broken::default();
    let all: Vec<usize> = (0..links.len()).collect();
    let component = components(nodes, links, &all);
    let inner = |at: &usize| component[links[*at].from] == component[links[*at].on];
    let mut inside: Vec<usize> = all.into_iter().filter(inner).collect();
    if inside.is_empty() {
        return broken;
    }
    // Strong edges first, so that the weak ones give way to them.
    inside.sort_by_key(|at| {
        let link = &links[*at];
        (std::cmp::Reverse(link.strength), link.against, *at)
    });
    let firm = inside
        .iter()
        .take_while(|at| links[**at].strength >= Strength::Explicit);
    let firm: Vec<usize> = firm.copied().collect();
    let component = components(nodes, links, &firm);
    let mut kept = vec![Vec::new(); nodes];
    let mut told = vec![false; nodes];
    for at in inside {
        let Link {
            from, on, strength, ..
        } = links[at];
        if strength >= Strength::Explicit && component[from] == component[on] {
            broken.dropped.push(at);
            if !std::mem::replace(&mut told[component[from]], true) {
                broken.cycles.push(shortest(nodes, links, &firm, from, on));
            }
        } else if strength < Strength::Explicit && reaches(&kept, on, from) {
            broken.dropped.push(at);
        } else {
            kept[from].push(on);
        }
    }
    broken
}

/// The way back from `on` to `from` with the edge between them: the shortest cycle through it.
fn shortest(nodes: usize, links: &[Link], among: &[usize], from: usize, on: usize) -> Vec<usize> {
    let mut next = vec![Vec::new(); nodes];
    for at in among {
        next[links[*at].from].push(links[*at].on);
    }
    let mut before = vec![None; nodes];
    let mut queue = std::collections::VecDeque::from([on]);
    before[on] = Some(on);
    while let Some(node) = queue.pop_front() {
        for &step in &next[node] {
            if before[step].is_none() {
                before[step] = Some(node);
                queue.push_back(step);
            }
        }
    }
    let mut path = vec![from];
    let mut node = from;
    while node != on {
        let Some(back) = before[node] else { break };
        path.push(back);
        node = back;
    }
    // Found from its end; told in the direction in which one waits for the next.
    path[1..].reverse();
    path
}

fn reaches(next: &[Vec<usize>], start: usize, goal: usize) -> bool {
    let mut seen = std::collections::HashSet::from([start]);
    let mut stack = vec![start];
    while let Some(node) = stack.pop() {
        if node == goal {
            return true;
        }
        stack.extend(next[node].iter().copied().filter(|node| seen.insert(*node)));
    }
    false
}

/// The strongly connected component of each node (Tarjan's algorithm, with a stack of its own). A node by
/// itself has a component of its own.
fn components(nodes: usize, links: &[Link], among: &[usize]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let mut next = vec![Vec::new(); nodes];
    for at in among {
        next[links[*at].from].push(links[*at].on);
    }
    let (mut number, mut low) = (vec![NONE; nodes], vec![0; nodes]);
    let mut component = vec![NONE; nodes];
    let (mut open, mut calls) = (Vec::new(), Vec::new());
    let mut count = 0;
    for root in 0..nodes {
        if number[root] != NONE {
            continue;
        }
        calls.push((root, 0));
        while let Some((node, at)) = calls.pop() {
            if at == 0 {
                (number[node], low[node]) = (count, count);
                count += 1;
                open.push(node);
            }
            if let Some(&step) = next[node].get(at) {
                calls.push((node, at + 1));
                if number[step] == NONE {
                    calls.push((step, 0));
                } else if component[step] == NONE {
                    low[node] = low[node].min(number[step]);
                }
                continue;
            }
            if low[node] == number[node] {
                while let Some(member) = open.pop() {
                    component[member] = node;
                    if member == node {
                        break;
                    }
                }
            }
            if let Some(&(parent, _)) = calls.last() {
                low[parent] = low[parent].min(low[node]);
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(edges: &[(usize, usize, Strength)]) -> Vec<Link> {
        let link = |&(from, on, strength)| Link {
            from,
            on,
            strength,
            against: 0,
        };
        edges.iter().map(link).collect()
    }

    #[test]
    fn weak_edges_give_way_and_firm_ones_are_named() {
        use Strength::{Explicit, Hard, Inferred};
        let broken = break_cycles(
            3,
            &links(&[(0, 1, Explicit), (1, 0, Inferred), (1, 2, Hard)]),
        );
        assert_eq!((broken.dropped, broken.cycles), (vec![1], vec![]));
        let broken = break_cycles(
            4,
            &links(&[
                (0, 1, Explicit),
                (1, 2, Hard),
                (2, 0, Explicit),
                (3, 0, Hard),
            ]),
        );
        assert_eq!(broken.dropped.len(), 3);
        assert_eq!(broken.cycles, [vec![1, 2, 0]]);
        let broken = break_cycles(1, &links(&[(0, 0, Explicit)]));
        assert_eq!(broken.cycles, [vec![0]]);
    }

    proptest! {
        #[test]
        fn what_is_kept_goes_in_no_circle(edges in prop::collection::vec((0..8_usize, 0..8_usize, 0..4_u8), 0..24)) {
            let strengths = [Strength::Order, Strength::Inferred, Strength::Explicit, Strength::Hard];
            let edges: Vec<_> = edges.into_iter().map(|(from, on, s)| (from, on, strengths[usize::from(s)])).collect();
            let links = links(&edges);
            let broken = break_cycles(8, &links);
            let kept: Vec<_> = (0..links.len()).filter(|at| !broken.dropped.contains(at)).collect();
            let component = components(8, &links, &kept);
            for at in kept {
                prop_assert_ne!(component[links[at].from], component[links[at].on]);
            }
            for at in &broken.dropped {
                // Nothing that somebody wrote is left out silently.
                prop_assert!(links[*at].strength < Strength::Explicit || !broken.cycles.is_empty());
            }
        }
    }
}
