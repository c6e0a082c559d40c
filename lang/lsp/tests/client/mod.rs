//! A scripted editor: the server's own loop over pipes in memory, a project in a temporary folder, answers as text.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use lsp_server::{Connection, Message, Notification, Request, RequestId, Response};
use ordain_lang_lsp::{ServeError, serve};
use serde_json::{Value, json};

/// An editor with a project open.
pub(crate) struct Client {
    connection: Connection,
    server: Option<JoinHandle<Result<(), ServeError>>>,
    pub(crate) folder: tempfile::TempDir,
    next: i32,
    /// Published diagnostics by document.
    pub(crate) published: BTreeMap<String, Value>,
    /// Everything that the server said, for searching.
    pub(crate) said: Vec<String>,
    /// Texts without markers, by file.
    pub(crate) texts: BTreeMap<String, String>,
    /// Places of markers.
    pub(crate) marks: BTreeMap<String, (String, usize)>,
    versions: BTreeMap<String, i32>,
}

impl Client {
    /// Writes the files, takes `«1»` out as markers, and starts the server.
    pub(crate) fn start(files: &[(String, String)], capabilities: Value) -> Client {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut texts = BTreeMap::new();
        let mut marks = BTreeMap::new();
        for (name, text) in files {
            let (text, found) = without_marks(text);
            for (mark, offset) in found {
                marks.insert(mark, (name.clone(), offset));
            }
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, &text).expect("written");
            texts.insert(name.clone(), text);
        }
        let (connection, theirs) = Connection::memory();
        let server = std::thread::spawn(move || serve(theirs));
        let mut client = Client {
            connection,
            server: Some(server),
            folder,
            next: 0,
            published: BTreeMap::new(),
            said: Vec::new(),
            texts,
            marks,
            versions: BTreeMap::new(),
        };
        let root = client.uri("");
        let provided = client.folder.path().join(".provided");
        let answer = client.request(
            "initialize",
            json!({
                "processId": null,
                "rootUri": null,
                "workspaceFolders": [{ "uri": root.trim_end_matches('/'), "name": "project" }],
                "capabilities": capabilities,
                "initializationOptions": { "providedFolder": provided },
            }),
        );
        assert!(
            answer["capabilities"]["hoverProvider"].is_boolean(),
            "{answer}"
        );
        client.notify("initialized", json!({}));
        client
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn uri(&self, file: &str) -> String {
        if file.contains(':') {
            return file.to_owned();
        }
        let path: PathBuf = self.folder.path().join(file);
        format!("file://{}", path.to_string_lossy().replace('\\', "/"))
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        let note = Notification::new(method.to_owned(), params);
        self.connection
            .sender
            .send(note.into())
            .expect("the server listens");
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Response {
        self.next += 1;
        let id = RequestId::from(self.next);
        let request = Request::new(id.clone(), method.to_owned(), params);
        self.connection
            .sender
            .send(request.into())
            .expect("the server listens");
        loop {
            match self.connection.receiver.recv().expect("the server answers") {
                Message::Response(response) if response.id == id => {
                    self.said
                        .push(serde_json::to_string(&response).expect("it is JSON"));
                    return response;
                }
                Message::Response(_) => {}
                Message::Notification(note) => self.take(note),
                Message::Request(request) => {
                    let answer = Response::new_ok(request.id, Value::Null);
                    self.connection
                        .sender
                        .send(answer.into())
                        .expect("it listens");
                }
            }
        }
    }

    /// The result of a request; an error as `{ "error": message }`.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let text = serde_json::to_value(self.ask(method, params)).expect("it is JSON");
        match text.get("error") {
            Some(error) => json!({ "error": error["message"] }),
            None => text.get("result").cloned().unwrap_or(Value::Null),
        }
    }

    fn take(&mut self, note: Notification) {
        self.said
            .push(serde_json::to_string(&note).expect("it is JSON"));
        if note.method == "textDocument/publishDiagnostics" {
            let uri = note.params["uri"].as_str().expect("a URI").to_owned();
            match note.params["diagnostics"]
                .as_array()
                .is_some_and(Vec::is_empty)
            {
                true => self.published.remove(&uri),
                false => self.published.insert(uri, note.params),
            };
        }
    }

    /// Waits until everything is published.
    pub(crate) fn settle(&mut self) {
        self.request("ordain/settled", Value::Null);
    }

    pub(crate) fn open(&mut self, file: &str) {
        let text = self.texts.get(file).cloned().unwrap_or_default();
        let uri = self.uri(file);
        self.versions.insert(file.to_owned(), 1);
        self.notify(
            "textDocument/didOpen",
            json!({ "textDocument": { "uri": uri, "languageId": "ordain", "version": 1, "text": text } }),
        );
    }

    pub(crate) fn open_once(&mut self, file: &str) {
        if !self.versions.contains_key(file) {
            self.open(file);
        }
    }

    /// Says that a document is closed.
    pub(crate) fn close(&mut self, file: &str) {
        if self.versions.remove(file).is_some() {
            let uri = self.uri(file);
            self.notify(
                "textDocument/didClose",
                json!({ "textDocument": { "uri": uri } }),
            );
        }
    }

    /// Sets what a file says: in the editor when it is open there, else on disk.
    pub(crate) fn set(&mut self, file: &str, new: String) {
        if self.versions.contains_key(file) {
            let length = self.texts[file].len();
            self.change(file, 0..length, &new);
        }
        let path = self.folder.path().join(file);
        std::fs::write(path, &new).expect("written");
        self.texts.insert(file.to_owned(), new);
    }

    /// Moves a file as an editor does when its user, or a server's edit, says so.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let is_open = self.versions.contains_key(from);
        self.close(from);
        let root = self.folder.path().to_path_buf();
        let target = root.join(to);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("made");
        std::fs::rename(root.join(from), target).expect("moved");
        let inside = |name: &str| match name.strip_prefix(from) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Some(format!("{to}{rest}")),
            _ => None,
        };
        let texts = std::mem::take(&mut self.texts).into_iter();
        self.texts = texts
            .map(|(name, text)| (inside(&name).unwrap_or(name), text))
            .collect();
        for (name, _) in self.marks.values_mut() {
            if let Some(new) = inside(name) {
                *name = new;
            }
        }
        if is_open {
            self.open(to);
        }
        let files = json!([{ "oldUri": self.uri(from), "newUri": self.uri(to) }]);
        self.notify("workspace/didRenameFiles", json!({ "files": files }));
    }

    /// Replaces a range of bytes as an editor does.
    pub(crate) fn change(&mut self, file: &str, range: std::ops::Range<usize>, new: &str) {
        let text = self.texts.get(file).cloned().expect("the file is known");
        let (start, end) = (position(&text, range.start), position(&text, range.end));
        let mut changed = text;
        changed.replace_range(range.clone(), new);
        self.texts.insert(file.to_owned(), changed);
        let grown = new.len() as isize - range.len() as isize;
        for (at, offset) in self.marks.values_mut() {
            if at == file && *offset >= range.end {
                *offset = offset.checked_add_signed(grown).expect("inside the text");
            }
        }
        let version = self.versions.entry(file.to_owned()).or_insert(1);
        *version += 1;
        let version = *version;
        let uri = self.uri(file);
        self.notify(
            "textDocument/didChange",
            json!({
                "textDocument": { "uri": uri, "version": version },
                "contentChanges": [{ "range": { "start": start, "end": end }, "text": new }],
            }),
        );
    }

    /// Where a marker is, as a request wants it.
    pub(crate) fn at(&self, mark: &str) -> Value {
        let (file, offset) = self
            .marks
            .get(mark)
            .unwrap_or_else(|| panic!("no marker {mark}"));
        json!({
            "textDocument": { "uri": self.uri(file) },
            "position": position(&self.texts[file], *offset),
        })
    }

    /// Says goodbye; the server must end well.
    pub(crate) fn stop(&mut self) {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        let server = self.server.take().expect("stopped once");
        server
            .join()
            .expect("the server did not panic")
            .expect("it ended well");
    }
}

/// A place as the protocol counts: lines and UTF-16 units.
pub(crate) fn position(text: &str, offset: usize) -> Value {
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    json!({ "line": line, "character": before[start..].encode_utf16().count() })
}

/// The offset of a place.
pub(crate) fn offset(text: &str, position: &Value) -> usize {
    let line = position["line"].as_u64().expect("a line") as usize;
    let units = position["character"].as_u64().expect("a column") as usize;
    let start = text
        .split_inclusive('\n')
        .take(line)
        .map(str::len)
        .sum::<usize>();
    let mut seen = 0;
    for (at, c) in text[start..].char_indices() {
        if seen >= units {
            return start + at;
        }
        seen += c.len_utf16();
    }
    text.len()
}

/// Takes `«name»` out of a text.
fn without_marks(text: &str) -> (String, Vec<(String, usize)>) {
    let mut out = String::new();
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('«') {
        out.push_str(&rest[..at]);
        let end = rest.find('»').expect("a marker ends with »");
        found.push((rest[at + '«'.len_utf8()..end].to_owned(), out.len()));
        rest = &rest[end + '»'.len_utf8()..];
    }
    out.push_str(rest);
    (out, found)
}

/// What today's editors can do.
pub(crate) fn modern() -> Value {
    json!({
        "textDocument": {
            "publishDiagnostics": {
                "relatedInformation": true,
                "codeDescriptionSupport": true,
                "tagSupport": { "valueSet": [1, 2] },
            },
            "completion": { "completionItem": { "snippetSupport": true } },
            "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
        },
        "workspace": {
            "workspaceEdit": {
                "documentChanges": true,
                "resourceOperations": ["create", "rename", "delete"],
            },
        },
    })
}
