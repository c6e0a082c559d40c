//! Questions as a line of text, and answers as text that a person can read.

use serde_json::{Value, json};

use crate::client::{Client, offset};

/// Asks one question.
pub(crate) struct Show<'c> {
    client: &'c mut Client,
}

/// Text edits by file.
type Texts = Vec<(String, Vec<Value>)>;
/// Files that move, from and to.
type Moves = Vec<(String, String)>;

/// Proposals that a snapshot shows.
const SHOWN: usize = 14;

impl<'c> Show<'c> {
    pub(crate) fn new(client: &'c mut Client) -> Show<'c> {
        Show { client }
    }

    pub(crate) fn run(&mut self, line: &str) -> String {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split_whitespace();
        let mut first = || words.next().unwrap_or_default().to_owned();
        match command {
            "open" => {
                self.client.open(rest);
                String::new()
            }
            "diagnostics" => self.diagnostics(),
            "type" => {
                let (mark, text) = rest.split_once(' ').expect("a marker and a text");
                let (file, at) = self.client.marks[mark].clone();
                let text = text.replace("\\n", "\n");
                self.client.change(&file, at..at, &text);
                String::new()
            }
            "delete" => {
                let (from, to) = (first(), first());
                let (file, start) = self.client.marks[&from].clone();
                let (_, end) = self.client.marks[&to].clone();
                self.client.change(&file, start..end, "");
                String::new()
            }
            "disk" => {
                let (file, text) = rest.split_once(' ').expect("a file and a text");
                let path = self.client.root().join(file);
                let is_new = !path.exists();
                std::fs::write(&path, text.replace("\\n", "\n")).expect("written");
                let uri = self.client.uri(file);
                let kind = if is_new { 1 } else { 2 };
                let changes = json!({ "changes": [{ "uri": uri, "type": kind }] });
                self.client
                    .notify("workspace/didChangeWatchedFiles", changes);
                String::new()
            }
            "hover" => {
                let at = self.client.at(&first());
                let answer = self.client.request("textDocument/hover", at);
                match answer["contents"]["value"].as_str() {
                    Some(text) => {
                        let start = text
                            .char_indices()
                            .nth(1_200)
                            .map_or(text.len(), |(at, _)| at);
                        text[..start].to_owned()
                    }
                    None => answer.to_string(),
                }
            }
            "definition" | "typedef" => {
                let method = match command {
                    "definition" => "textDocument/definition",
                    _ => "textDocument/typeDefinition",
                };
                let at = self.client.at(&first());
                let answer = self.client.request(method, at);
                let links = answer.as_array().cloned().unwrap_or_default();
                let one =
                    |link: &Value| self.place(&link["targetUri"], &link["targetSelectionRange"]);
                let places: Vec<String> = links.iter().map(one).collect();
                if places.is_empty() {
                    answer.to_string()
                } else {
                    places.join("\n")
                }
            }
            "references" => {
                let mut params = self.client.at(&first());
                params["context"] = json!({ "includeDeclaration": true });
                let answer = self.client.request("textDocument/references", params);
                self.places(&answer, "uri")
            }
            "highlight" => {
                let at = self.client.at(&first());
                let uri = at["textDocument"]["uri"].clone();
                let answer = self.client.request("textDocument/documentHighlight", at);
                let all = answer.as_array().cloned().unwrap_or_default();
                let one = |found: &Value| {
                    let kind = if found["kind"] == 3 { "write" } else { "read" };
                    format!("{kind} {}", self.place(&uri, &found["range"]))
                };
                all.iter().map(one).collect::<Vec<_>>().join("\n")
            }
            "prepare" => {
                let at = self.client.at(&first());
                self.client
                    .request("textDocument/prepareRename", at)
                    .to_string()
            }
            "rename" => {
                let (mark, new) = (first(), first());
                let mut params = self.client.at(&mark);
                params["newName"] = json!(new);
                let answer = self.client.request("textDocument/rename", params);
                let shown = self.edits(&answer);
                // `rename MARK NEW !` does it as well, as an editor would.
                if first() == "!" {
                    self.apply(&answer);
                }
                shown
            }
            "move" => {
                let (from, to) = (first(), first());
                let files =
                    json!([{ "oldUri": self.client.uri(&from), "newUri": self.client.uri(&to) }]);
                let params = json!({ "files": files });
                let answer = self.client.request("workspace/willRenameFiles", params);
                let shown = self.edits(&answer);
                self.apply(&answer);
                self.client.rename(&from, &to);
                shown
            }
            "close" => {
                self.client.close(rest);
                String::new()
            }
            "text" => self.client.texts[rest].clone(),
            "complete" => {
                let mark = first();
                let wanted = words.next();
                self.complete(&mark, wanted)
            }
            "try" | "trysig" => {
                // Types a text at a marker, asks where it has a `|`, and takes it away again.
                let (mark, text) = rest.split_once(' ').expect("a marker and a text");
                let (text, wanted) = match text.split_once(" // ") {
                    Some((text, wanted)) => (text, Some(wanted)),
                    None => (text, None),
                };
                let text = text.replace("\\n", "\n");
                let (before, after) = text.split_once('|').unwrap_or((&text, ""));
                let (file, at) = self.client.marks[mark].clone();
                self.client.open_once(&file);
                self.client
                    .change(&file, at..at, &format!("{before}{after}"));
                let cursor = at + before.len();
                self.client
                    .marks
                    .insert("cursor".to_owned(), (file.clone(), cursor));
                let answer = match command {
                    "try" => self.complete("cursor", wanted),
                    _ => self.run("signature cursor"),
                };
                self.client
                    .change(&file, at..at + before.len() + after.len(), "");
                self.client.marks.insert(mark.to_owned(), (file, at));
                answer
            }
            "signature" => {
                let at = self.client.at(&first());
                let answer = self.client.request("textDocument/signatureHelp", at);
                let signature = &answer["signatures"][0];
                let active = answer["activeParameter"].as_u64().unwrap_or(99) as usize;
                format!(
                    "{}\n{}\nactive: {}",
                    signature["label"].as_str().unwrap_or("none"),
                    signature["documentation"]["value"].as_str().unwrap_or(""),
                    signature["parameters"][active]["label"]
                        .as_str()
                        .unwrap_or("none"),
                )
            }
            "symbols" => {
                let uri = self.client.uri(rest);
                let params = json!({ "textDocument": { "uri": uri } });
                let answer = self.client.request("textDocument/documentSymbol", params);
                let mut out = String::new();
                symbols(&answer, 0, &mut out);
                out
            }
            "workspace" => {
                let answer = self
                    .client
                    .request("workspace/symbol", json!({ "query": rest }));
                let all = answer.as_array().cloned().unwrap_or_default();
                let one = |found: &Value| {
                    let location = &found["location"];
                    let name = found["name"].as_str().unwrap_or("");
                    format!(
                        "{name}  {}",
                        self.place(&location["uri"], &location["range"])
                    )
                };
                all.iter().map(one).collect::<Vec<_>>().join("\n")
            }
            "actions" => self.actions(&first()),
            "format" => {
                let uri = self.client.uri(rest);
                let params = json!({
                    "textDocument": { "uri": uri },
                    "options": { "tabSize": 2, "insertSpaces": true },
                });
                let answer = self.client.request("textDocument/formatting", params);
                match answer.is_null() {
                    true => "null".to_owned(),
                    false => self.edits(&json!({ "changes": { uri: answer } })),
                }
            }
            "folding" => {
                let uri = self.client.uri(rest);
                let params = json!({ "textDocument": { "uri": uri } });
                let answer = self.client.request("textDocument/foldingRange", params);
                let all = answer.as_array().cloned().unwrap_or_default();
                let one = |fold: &Value| {
                    format!("{}–{} {}", fold["startLine"], fold["endLine"], fold["kind"])
                };
                all.iter().map(one).collect::<Vec<_>>().join("\n")
            }
            "selection" => {
                let at = self.client.at(&first());
                let file = self.client.marks[rest].0.clone();
                let params =
                    json!({ "textDocument": at["textDocument"], "positions": [at["position"]] });
                let answer = self.client.request("textDocument/selectionRange", params);
                let text = &self.client.texts[&file];
                let mut out = String::new();
                let mut next = answer[0].clone();
                while !next.is_null() {
                    let range = &next["range"];
                    let part = &text[offset(text, &range["start"])..offset(text, &range["end"])];
                    let shown: String = part.replace('\n', "⏎").chars().take(60).collect();
                    out.push_str(&format!("{shown}\n"));
                    next = next["parent"].clone();
                }
                out
            }
            "tokens" => self.tokens(rest),
            "hints" => self.hints(rest),
            other => panic!("`{other}` is no question"),
        }
    }

    fn name(&self, uri: &Value) -> String {
        let root = self.client.uri("");
        let text = uri.as_str().unwrap_or("?");
        text.strip_prefix(&root)
            .unwrap_or(text)
            .trim_start_matches('/')
            .to_owned()
    }

    /// `file:line:column text of the line`.
    fn place(&self, uri: &Value, range: &Value) -> String {
        let name = self.name(uri);
        let line = range["start"]["line"].as_u64().unwrap_or(0);
        let column = range["start"]["character"].as_u64().unwrap_or(0);
        let text = match self.client.texts.get(&name) {
            Some(text) => text.clone(),
            None => std::fs::read_to_string(self.client.root().join(&name)).unwrap_or_default(),
        };
        let shown = text
            .lines()
            .nth(line as usize)
            .unwrap_or("")
            .trim()
            .to_owned();
        format!("{name}:{}:{} | {shown}", line + 1, column + 1)
    }

    fn places(&self, answer: &Value, uri: &str) -> String {
        match answer.as_array() {
            Some(all) => {
                let one = |found: &Value| self.place(&found[uri], &found["range"]);
                all.iter().map(one).collect::<Vec<_>>().join("\n")
            }
            None => answer.to_string(),
        }
    }

    fn diagnostics(&mut self) -> String {
        self.client.settle();
        let mut out = String::new();
        for (uri, params) in self.client.published.clone() {
            for found in params["diagnostics"].as_array().into_iter().flatten() {
                let severity = ["", "error", "warning", "info"]
                    [found["severity"].as_u64().unwrap_or(0) as usize];
                let code = found["code"].as_str().unwrap_or("");
                let at = self.place(&json!(uri), &found["range"]);
                out.push_str(&format!("{severity} {code} {at}\n"));
                for line in found["message"].as_str().unwrap_or("").lines() {
                    out.push_str(&format!("    {line}\n"));
                }
                for related in found["relatedInformation"].as_array().into_iter().flatten() {
                    let location = &related["location"];
                    let place = self.place(&location["uri"], &location["range"]);
                    let message = related["message"].as_str().unwrap_or("");
                    out.push_str(&format!("  - {message}: {place}\n"));
                }
                if !found["tags"].is_null() {
                    out.push_str(&format!("  tags {}\n", found["tags"]));
                }
            }
        }
        if out.is_empty() {
            "none".to_owned()
        } else {
            out
        }
    }

    fn complete(&mut self, mark: &str, wanted: Option<&str>) -> String {
        let at = self.client.at(mark);
        let answer = self.client.request("textDocument/completion", at);
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let mut items: Vec<Value> = items
            .into_iter()
            .filter(|item| {
                let label = item["label"].as_str().unwrap_or("");
                wanted.is_none_or(|wanted| label.to_lowercase().contains(&wanted.to_lowercase()))
            })
            .collect();
        items.sort_by_key(|item| item["sortText"].as_str().unwrap_or("").to_owned());
        let total = items.len();
        let mut out = String::new();
        for item in items.iter().take(SHOWN) {
            let label = item["label"].as_str().unwrap_or("");
            let detail = item["detail"].as_str().unwrap_or("");
            let insert = item["textEdit"]["newText"]
                .as_str()
                .unwrap_or("")
                .replace('\n', "⏎");
            out.push_str(&format!("{label}  ({detail})  {insert}"));
            if let Some(doc) = item["documentation"]["value"].as_str() {
                let first: String = doc.lines().next().unwrap_or("").chars().take(60).collect();
                out.push_str(&format!("  // {first}"));
            }
            if let Some(also) = item["additionalTextEdits"].as_array() {
                out.push_str(&format!(
                    "  + {:?}",
                    also[0]["newText"].as_str().unwrap_or("")
                ));
            }
            out.push('\n');
        }
        if total > SHOWN {
            out.push_str(&format!("… {} more\n", total - SHOWN));
        }
        if out.is_empty() {
            "none".to_owned()
        } else {
            out
        }
    }

    fn actions(&mut self, mark: &str) -> String {
        self.client.settle();
        let at = self.client.at(mark);
        let range = json!({ "start": at["position"], "end": at["position"] });
        let params = json!({
            "textDocument": at["textDocument"],
            "range": range,
            "context": { "diagnostics": [] },
        });
        let answer = self.client.request("textDocument/codeAction", params);
        let all = answer.as_array().cloned().unwrap_or_default();
        let mut out = String::new();
        for action in &all {
            let title = action["title"].as_str().unwrap_or("");
            out.push_str(&format!("* {title}\n{}\n", self.edits(&action["edit"])));
        }
        if all.is_empty() {
            answer.to_string()
        } else {
            out
        }
    }

    /// The text edits of an answer by file, and the files that it moves.
    fn parts(&self, answer: &Value) -> (Texts, Moves) {
        let all = |edits: &Value| edits.as_array().cloned().unwrap_or_default();
        let (mut texts, mut moves) = (Vec::new(), Vec::new());
        for (uri, edits) in answer["changes"].as_object().into_iter().flatten() {
            texts.push((self.name(&json!(uri)), all(edits)));
        }
        for change in answer["documentChanges"].as_array().into_iter().flatten() {
            match change["kind"].as_str() {
                None => texts.push((
                    self.name(&change["textDocument"]["uri"]),
                    all(&change["edits"]),
                )),
                Some("rename") => {
                    moves.push((self.name(&change["oldUri"]), self.name(&change["newUri"])));
                }
                Some(other) => panic!("`{other}` is not expected"),
            }
        }
        texts.sort_by_key(|(name, _)| name.clone());
        (texts, moves)
    }

    /// A file before and after some edits.
    fn edited(&self, name: &str, mut edits: Vec<Value>) -> (String, String) {
        let before = self.client.texts.get(name).cloned().unwrap_or_default();
        let mut after = before.clone();
        edits.sort_by_key(|edit| std::cmp::Reverse(offset(&before, &edit["range"]["start"])));
        for edit in &edits {
            let range =
                offset(&before, &edit["range"]["start"])..offset(&before, &edit["range"]["end"]);
            after.replace_range(range, edit["newText"].as_str().unwrap_or(""));
        }
        (before, after)
    }

    /// Does what an answer says.
    fn apply(&mut self, answer: &Value) {
        let (texts, moves) = self.parts(answer);
        for (name, edits) in texts {
            let (_, after) = self.edited(&name, edits);
            self.client.set(&name, after);
        }
        for (from, to) in moves {
            self.client.rename(&from, &to);
        }
    }

    /// The lines that edits change, before and after, and the files that move.
    fn edits(&self, answer: &Value) -> String {
        let (texts, moves) = self.parts(answer);
        if texts.is_empty() && moves.is_empty() {
            return answer.to_string();
        }
        let mut out = String::new();
        for (name, edits) in texts {
            out.push_str(&format!("{name}: {} edits\n", edits.len()));
            let (before, after) = self.edited(&name, edits);
            let diff = similar::TextDiff::from_lines(&before, &after);
            for change in diff.iter_all_changes() {
                let sign = match change.tag() {
                    similar::ChangeTag::Equal => continue,
                    similar::ChangeTag::Delete => '-',
                    similar::ChangeTag::Insert => '+',
                };
                out.push_str(&format!("  {sign} {}\n", change.value().trim_end()));
            }
        }
        for (from, to) in moves {
            out.push_str(&format!("{from} → {to}\n"));
        }
        out
    }

    fn tokens(&mut self, file: &str) -> String {
        let uri = self.client.uri(file);
        let params = json!({ "textDocument": { "uri": uri } });
        let answer = self
            .client
            .request("textDocument/semanticTokens/full", params);
        let data: Vec<u64> = answer["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect();
        let text = &self.client.texts[file];
        let names = ordain_lang_lsp_names();
        let (mut line, mut column) = (0, 0);
        let mut out = String::new();
        for token in data.chunks(5) {
            if token[0] > 0 {
                column = 0;
            }
            line += token[0];
            column += token[1];
            let start = offset(text, &json!({ "line": line, "character": column }));
            let end = offset(
                text,
                &json!({ "line": line, "character": column + token[2] }),
            );
            let kind = names[token[3] as usize];
            let marks: String = ["d", "r", "l", "c"]
                .iter()
                .enumerate()
                .filter(|(bit, _)| token[4] & (1 << bit) != 0)
                .map(|(_, mark)| *mark)
                .collect();
            let marks = if marks.is_empty() {
                marks
            } else {
                format!(".{marks}")
            };
            out.push_str(&format!("{}:{kind}{marks}  ", &text[start..end]));
            if out.rsplit('\n').next().unwrap_or("").len() > 90 {
                out = out.trim_end().to_owned() + "\n";
            }
        }
        out
    }

    fn hints(&mut self, file: &str) -> String {
        let uri = self.client.uri(file);
        let text = self.client.texts[file].clone();
        let range = json!({
            "start": { "line": 0, "character": 0 },
            "end": crate::client::position(&text, text.len()),
        });
        let params = json!({ "textDocument": { "uri": uri }, "range": range });
        let answer = self.client.request("textDocument/inlayHint", params);
        let mut out = String::new();
        for hint in answer.as_array().into_iter().flatten() {
            let line = hint["position"]["line"].as_u64().unwrap_or(0) as usize;
            let source = text.lines().nth(line).unwrap_or("").trim();
            out.push_str(&format!(
                "{source}   ⟵ {}\n",
                hint["label"].as_str().unwrap_or("")
            ));
        }
        if out.is_empty() {
            answer.to_string()
        } else {
            out
        }
    }
}

fn symbols(list: &Value, depth: usize, out: &mut String) {
    for symbol in list.as_array().into_iter().flatten() {
        let name = symbol["name"].as_str().unwrap_or("");
        let detail = symbol["detail"].as_str().unwrap_or("");
        out.push_str(&format!(
            "{:depth$}{name} {detail} ({})\n",
            "", symbol["kind"]
        ));
        symbols(&symbol["children"], depth + 2, out);
    }
}

/// The names of the protocol's token types, in the server's order.
fn ordain_lang_lsp_names() -> Vec<&'static str> {
    vec![
        "namespace",
        "type",
        "struct",
        "class",
        "typeParameter",
        "parameter",
        "variable",
        "property",
        "function",
        "method",
        "keyword",
        "comment",
        "string",
        "number",
        "regexp",
        "operator",
    ]
}
