//! YAML and JSON text read back as the value that was written. It knows nothing of the language.

use ordain_lang_eval::{JsonSink, JsonText, YamlText, pour};
use proptest::prelude::*;
use serde_json::{Value, json};

fn yaml(value: &Value) -> String {
    let mut text = YamlText::new();
    text.document();
    pour(value, &mut text);
    text.finish()
}

fn json_text(value: &Value, pretty: bool) -> String {
    let mut text = JsonText::new(pretty);
    pour(value, &mut text);
    text.finish()
}

#[track_caller]
fn reads_back(value: &Value) {
    let text = yaml(value);
    let read: Value = serde_yaml::from_str(&text)
        .unwrap_or_else(|error| panic!("{error} in\n{text}\nof {value:?}"));
    assert_eq!(&read, value, "\n{text}");
    for pretty in [false, true] {
        let text = json_text(value, pretty);
        let read: Value = serde_json::from_str(&text).expect("we write JSON");
        assert_eq!(&read, value, "\n{text}");
    }
    let mut sink = JsonSink::new();
    pour(value, &mut sink);
    assert_eq!(&sink.finish(), value);
}

/// Strings that some reader of YAML takes for something else.
const QUOTED: [&str; 64] = [
    "",
    " ",
    "yes",
    "No",
    "ON",
    "off",
    "y",
    "N",
    "true",
    "False",
    "null",
    "~",
    "NULL",
    "1",
    "-1",
    "+1",
    "0",
    "007",
    "0x1F",
    "0o17",
    "0b101",
    "1_000",
    "1.5",
    ".5",
    "1.",
    "1e3",
    "1E-3",
    "-.inf",
    ".NaN",
    "12:30",
    "1:20:30.5",
    "2026-01-31",
    "2026-1-1T00:00:00Z",
    "1.36",
    "=",
    "<<",
    "-",
    "?",
    ":",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "a:",
    " a",
    "a ",
    "&a",
    "*a",
    "!a",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    "'a'",
    "\"a\"",
    "[a",
    "{a",
    "]",
    "}",
    ",",
    "---",
    "...",
    "a\tb",
];

/// Strings that need no quotes, however odd they look.
const PLAIN: [&str; 24] = [
    "a",
    "nginx:1.25",
    "500m",
    "256Mi",
    "10.0.0.1",
    "1.2.3",
    "v1",
    "apps/v1",
    "--flag=x",
    "-v",
    "a-b",
    "a#b",
    "yesno",
    "http://a/b?c=d&e",
    "0x",
    "0b2",
    "1e",
    "e3",
    "app.kubernetes.io/name",
    "sha256:0a1b",
    "$(POD_IP)",
    "ä",
    "2026-01",
    "1,2",
];

#[test]
fn strings_that_look_like_something_else_are_quoted() {
    for text in QUOTED {
        assert!(
            yaml(&json!(text)).starts_with('"'),
            "{text:?} is written {}",
            yaml(&json!(text))
        );
        reads_back(&json!({ text: [text, { "k": text }] }));
    }
}

#[test]
fn other_strings_are_not_quoted() {
    for text in PLAIN {
        assert_eq!(yaml(&json!(text)), format!("{text}\n"));
        reads_back(&json!({ text: [text, { "k": text }] }));
    }
}

#[test]
fn the_shape_is_that_of_kubectl() {
    let value = json!({
        "apiVersion": "v1", "empty": {}, "none": [], "count": 1, "f": 1.0,
        "list": [{ "name": "a", "args": ["-v", "yes"] }, [1, [2]], [], {}, "x"],
        "text": "one\n  two\n", "keep": "a\nb\n\n", "strip": "a\nb",
        "on": true, "nothing": null,
    });
    reads_back(&value);
    insta::assert_snapshot!(yaml(&value), @r#"
apiVersion: v1
empty: {}
none: []
count: 1
f: 1.0
list:
- name: a
  args:
  - -v
  - "yes"
-
  - 1
  -
    - 2
- []
- {}
- x
text: |
  one
    two
keep: |+
  a
  b

strip: |-
  a
  b
"on": true
nothing: null
"#);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.:/_-]{0,12}",
        "[ -~\n\t]{0,20}",
        "[0-9eExXob_.:+-]{0,8}",
        proptest::sample::select(QUOTED.to_vec()).prop_map(str::to_owned),
        ".{0,8}",
        "(line ?\n){1,3}( ?x\n*)?",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // serde_json reads other fractions with an error in the last bit.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 64.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_reads_back(value in value()) {
        reads_back(&value);
    }
}

/// Every character that JSON escapes, wherever it stands.
#[test]
fn escapes_are_found_at_every_place() {
    for length in 1..20 {
        for at in 0..length {
            for byte in (0..0x80u8).chain([b'"', b'\\']) {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                let text = String::from_utf8(text).expect("ASCII");
                let written = json_text(&json!(text), false);
                let read: Value = serde_json::from_str(&written).expect("we write JSON");
                assert_eq!(read, json!(text), "{written}");
                let is_escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(written.contains('\\'), is_escaped, "{written}");
            }
        }
    }
}

/// However deep, each level is indented by two more spaces.
#[test]
fn indentation_has_no_end() {
    let mut value = json!("x");
    for _ in 0..100 {
        value = json!({ "a": [value] });
    }
    let wanted = serde_json::to_string_pretty(&value).expect("JSON");
    assert_eq!(json_text(&value, true), wanted);
}
