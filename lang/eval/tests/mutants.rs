//! Programs broken at random: whatever the checker still accepts evaluates without a panic.

mod common;

use common::{Program, environments};
use proptest::prelude::*;

fn programs() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut sources = Vec::new();
    for folder in ["ok", "err"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("the folder is there");
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            // The programs about limits take their time.
            let slow = path.file_stem().is_some_and(|stem| stem == "limits");
            if path.extension().is_some_and(|extension| extension == "ord") && !slow {
                sources.push(std::fs::read_to_string(path).expect("a readable program"));
            }
        }
    }
    sources.sort();
    sources
}

/// The words and signs of a program, with the blanks behind them.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = false;
    for c in source.chars() {
        let in_word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if (in_word && word) || c.is_whitespace() => last.push(c),
            _ => tokens.push(c.to_string()),
        }
        word = in_word;
    }
    tokens
}

/// Deletes, doubles, swaps or replaces tokens.
fn mutate(source: &str, changes: &[(u8, u32, u32)]) -> String {
    let mut tokens = tokens(source);
    for (kind, a, b) in changes {
        let (a, b) = (*a as usize % tokens.len(), *b as usize % tokens.len());
        match kind % 5 {
            0 => drop(tokens.remove(a)),
            1 => tokens.insert(a, tokens[b].clone()),
            2 => tokens.swap(a, b),
            3 => tokens[a] = tokens[b].clone(),
            _ => {
                tokens[a] = [
                    "0 ",
                    "null ",
                    "\"\" ",
                    "{} ",
                    "[] ",
                    "true ",
                    "1.5 ",
                    "9223372036854775807 ",
                ][b % 8]
                    .to_owned()
            }
        }
        if tokens.is_empty() {
            break;
        }
    }
    tokens.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_the_checker_accepts_evaluates(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<(u8, u32, u32)>(), 1..4),
    ) {
        let sources = programs();
        let source = mutate(&sources[which.index(sources.len())], &changes);
        let program = Program::new(&[("mutant.ord", &source)]);
        if program.checked().is_empty() {
            for env in environments(&program) {
                program.build(env);
            }
            program.tests();
        }
    }
}
