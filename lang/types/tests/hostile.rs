//! Programs that nobody means: cut, mixed and nested sources must be told about, never end the checker.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

/// A small deterministic generator (xorshift64*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}

/// Every snippet of the chapters.
fn snippets() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chapters");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let text = std::fs::read_to_string(entry.expect("readable").path()).expect("readable");
        for section in support::sections(&text) {
            all.extend(section.files.into_iter().map(|(_, text)| text));
        }
    }
    all
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if !c.is_alphanumeric() {
            if start < at {
                words.push(&text[start..at]);
            }
            words.push(&text[at..at + c.len_utf8()]);
            start = at + c.len_utf8();
        }
    }
    words.push(&text[start..]);
    words
}

#[test]
fn mutilated_programs_do_not_end_the_checker() {
    /// Enough to meet every construct in every wrong place a few times, within a second or two.
    const ROUNDS: usize = 600;
    let snippets = snippets();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let text = &snippets[random.next(snippets.len())];
        let mut mixed: Vec<&str> = words(text);
        for _ in 0..=random.next(6) {
            let at = random.next(mixed.len());
            match random.next(4) {
                0 => {
                    mixed.remove(at);
                }
                1 => {
                    let other = random.next(mixed.len());
                    mixed.swap(at, other);
                }
                2 => mixed.insert(at, mixed[random.next(mixed.len())]),
                _ => {
                    let other = words(&snippets[random.next(snippets.len())]);
                    let from = random.next(other.len());
                    let to = (from + random.next(20)).min(other.len());
                    mixed.splice(at..at, other[from..to].iter().copied());
                }
            }
            if mixed.is_empty() {
                break;
            }
        }
        let program: String = mixed.concat();
        support::run(&[("main.ord".to_owned(), program)]);
    }
}

#[test]
fn deep_and_long_programs_fit_the_stack() {
    let deep = 100;
    let programs = [
        format!("let a = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("let a = {}1{}", "{ a = ".repeat(deep), " }".repeat(deep)),
        format!("let a = {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("let a = 1{}", " + 1".repeat(5_000)),
        format!("let a = {}1", "if true then 1 else ".repeat(deep)),
        format!(
            "let a: {}Int{} = []",
            "List<".repeat(deep),
            ">".repeat(deep)
        ),
        (0..5_000)
            .map(|i| format!("let a{i} = a{}\n", i + 1))
            .collect(),
        (0..5_000)
            .map(|i| format!("fn f{i}() = f{}()\n", i + 1))
            .collect(),
        (0..5_000)
            .map(|i| format!("type A{i} = A{}\n", i + 1))
            .collect(),
        "type A<T> { next: A<List<T>>?, value: T? }\nlet a: A<Int> = {}".to_owned(),
        "type A<T> { left: A<Map<String, T>>?, right: A<T?>? }\nlet a: A<Int> = {}".to_owned(),
    ];
    for program in programs {
        support::run(&[("main.ord".to_owned(), program)]);
    }
}
