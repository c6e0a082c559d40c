//! Every program of the repository that is right can be read, and the queries fit the grammar.

use std::path::{Path, PathBuf};

use tree_sitter::{Node, Parser, Query};

fn parser() -> Parser {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_ord::LANGUAGE.into())
        .expect("the grammar is of a version that the library reads");
    parser
}

/// The first place that the grammar does not understand.
fn mistake(node: Node<'_>) -> Option<Node<'_>> {
    if node.is_error() || node.is_missing() {
        return Some(node);
    }
    if !node.has_error() {
        return None;
    }
    let mut cursor = node.walk();
    node.children(&mut cursor).find_map(mistake)
}

/// All `.ord` files below a folder, but for those that are wrong on purpose.
fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    let wrong = ["err", "mistakes", "target", "node_modules", "vscode"];
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !wrong.contains(&name.as_str()) {
            programs(&path, found);
        } else if name.ends_with(".ord") {
            found.push(path);
        }
    }
}

#[test]
fn every_program_of_the_repository_can_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    programs(&root, &mut found);
    assert!(found.len() > 20, "the programs are found");
    let mut parser = parser();
    let mut failures = Vec::new();
    for path in found {
        let text = std::fs::read(&path).expect("readable");
        let tree = parser.parse(&text, None).expect("there is a language and no time limit");
        if let Some(node) = mistake(tree.root_node()) {
            failures.push(format!("{}:{}", path.display(), node.start_position().row + 1));
        }
    }
    assert!(failures.is_empty(), "not understood: {failures:#?}");
}

#[test]
fn every_program_of_the_reference_can_be_read() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language");
    let mut parser = parser();
    let mut failures = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(docs).expect("the folder is there").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("readable");
        for block in text.split("```").skip(1).step_by(2) {
            let Some(program) = block.strip_prefix("ord\n") else {
                continue;
            };
            // Where a mistake is expected, it may be one that this grammar sees as well.
            if program.contains("// error: E00") {
                continue;
            }
            seen += 1;
            let tree = parser.parse(program, None).expect("there is a language and no time limit");
            if mistake(tree.root_node()).is_some() {
                failures.push(program.to_owned());
            }
        }
    }
    assert!(seen > 20, "the programs are found");
    assert!(failures.is_empty(), "not understood:\n{}", failures.join("\n---\n"));
}

/// The right programs of the pages of mistakes, and all of the checker's chapters: what is wrong there is wrong in meaning.
#[test]
fn every_program_of_pages_and_chapters_can_be_read() {
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lang/types");
    let mut parser = parser();
    let mut failures = Vec::new();
    let mut seen = 0;
    for folder in ["diagnostics", "tests/chapters"] {
        let mut pages: Vec<PathBuf> = std::fs::read_dir(types.join(folder))
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|end| end == "md"))
            .collect();
        pages.sort();
        for page in pages {
            let text = std::fs::read_to_string(&page).expect("readable");
            let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for block in text.split("```").skip(1).step_by(2) {
                // What fails on a page of syntax fails here too.
                let program = match block.strip_prefix("ord fails\n") {
                    Some(_) if name.starts_with("E00") => continue,
                    Some(program) => program,
                    None => match block.strip_prefix("ord\n") {
                        Some(program) => program,
                        None => continue,
                    },
                };
                if program.contains("error: E00") {
                    continue;
                }
                seen += 1;
                let tree = parser.parse(program, None).expect("there is a language and no time limit");
                if let Some(node) = mistake(tree.root_node()) {
                    let line = program.lines().nth(node.start_position().row);
                    let column = node.start_position().column + 1;
                    failures.push(format!("{name}, column {column}: {}", line.unwrap_or_default()));
                }
            }
        }
    }
    assert!(seen > 300, "{seen} programs are found");
    assert!(failures.is_empty(), "not understood:\n{}", failures.join("\n"));
}

#[test]
fn brackets_belong_to_what_is_before_them_on_the_same_line() {
    let mut parser = parser();
    let mut tree = |text: &str| {
        let tree = parser.parse(text, None).expect("there is a language and no time limit");
        tree.root_node().to_sexp()
    };
    assert!(tree("let a = f(b)\n").contains("(call"));
    assert!(!tree("let a = [f\n(b)]\n").contains("(call"));
    assert!(tree("let a = b { c = 1 }\n").contains("(amend"));
    assert!(tree("let a = [if b { c = 1 }]\n").contains("(if_expression"));
    assert!(tree("let a = \"{b} ${c} {{d}}\"\n").matches("(interpolation").count() == 1);
}

#[test]
fn the_queries_fit_the_grammar() {
    let language = tree_sitter_ord::LANGUAGE.into();
    for query in [tree_sitter_ord::HIGHLIGHTS_QUERY, tree_sitter_ord::FOLDS_QUERY] {
        Query::new(&language, query).expect("the query names what there is");
    }
}
