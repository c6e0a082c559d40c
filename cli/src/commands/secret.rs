//! `ordain secret`: makes and changes encrypted files. Values come from stdin or a prompt, never from the command line.

use super::report;
use crate::Outcome;
use crate::args::{DataDirArg, Format as Output};
use crate::keys::{Keys, SystemRandom, keys_report};
use crate::terminal;
use crate::usage::usage;
use clap::Subcommand;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ordain_lang_secrets::{
    Document, Editor, Format, Identity, Kind, Plain, Recipient, Wiped, armor, encrypt,
};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// Make and change encrypted secrets files
///
/// Files are SOPS documents (.yaml, .json, .env) or single values encrypted by age (.age); `sops` and `age` read and write them as
/// well. A project uses them with `use secrets "FILE" as vault`. Values are typed at a prompt or piped in, never written on the
/// command line.
#[derive(clap::Args)]
pub(crate) struct SecretArgs {
    #[command(subcommand)]
    what: What,

    #[command(flatten)]
    data_dir: DataDirArg,
}

#[derive(Subcommand)]
enum What {
    /// Print the public key that files are encrypted for, so that this cluster can open them
    Recipient,
    /// List the keys of a file; needs no key to open it
    Keys {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Set a value, read from stdin or a prompt; makes the file when there is none
    Set {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The key, with dots between levels; none for an .age file
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// Encrypt a new file for this age recipient (can be repeated)
        #[arg(long = "for", value_name = "RECIPIENT")]
        recipients: Vec<Recipient>,
    },
    /// Remove a key
    Unset {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The key, with dots between levels
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Print one value to stdout
    Get {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The key, with dots between levels; none for an .age file
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Change a file in $EDITOR as plain YAML
    Edit {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Encrypt every value anew with a new data key, for the same recipients or others
    Rotate {
        /// The secrets file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Encrypt for this age recipient instead of those it has (can be repeated)
        #[arg(long = "for", value_name = "RECIPIENT")]
        recipients: Vec<Recipient>,
    },
}

pub(crate) fn run(args: &SecretArgs, format: Output) -> Result<Outcome> {
    let keys = Keys::new(&args.data_dir.path());
    match &args.what {
        What::Recipient => {
            let own = keys.ensure_own().map_err(keys_report)?;
            match format {
                Output::Json => {
                    terminal::json(&serde_json::json!({ "recipient": own.to_string() }))?
                }
                Output::Text => terminal::data(&format!("{own}\n"))?,
            }
        }
        What::Keys { file } => list(&read(file)?, format)?,
        What::Set {
            file,
            key,
            recipients,
        } => set(&keys, file, key.as_deref(), recipients)?,
        What::Unset { file, key } => {
            let mut editor = open(&keys, file)?;
            editor
                .remove(&path(key))
                .map_err(|error| failure(error, file))?;
            finish(editor, file)?;
        }
        What::Get { file, key } => get(&keys, file, key.as_deref())?,
        What::Edit { file } => edit(&keys, file)?,
        What::Rotate { file, recipients } => rotate(&keys, file, recipients)?,
    }
    Ok(Outcome::Done)
}

fn list(document: &Document, format: Output) -> Result<()> {
    let entries = document.entries();
    let kind = |kind| match kind {
        Kind::Str => "String",
        Kind::Int => "Int",
        Kind::Float => "Float",
        Kind::Bool => "Bool",
        Kind::Bytes => "bytes",
    };
    let state = |is_plain| {
        if is_plain {
            "NOT ENCRYPTED"
        } else {
            "encrypted"
        }
    };
    if format == Output::Json {
        let keys: Vec<_> = entries
            .iter()
            .map(|e| serde_json::json!({ "key": e.path, "type": kind(e.leaf.kind), "encrypted": !e.is_plain }))
            .collect();
        return terminal::json(
            &serde_json::json!({ "keys": keys, "recipients": document.recipients() }),
        );
    }
    let rows = entries.iter().map(|e| {
        let key = if e.path.is_empty() {
            "(the whole file)".to_owned()
        } else {
            e.path.join(".")
        };
        [
            key,
            kind(e.leaf.kind).to_owned(),
            state(e.is_plain).to_owned(),
        ]
    });
    let mut text = super::table(["KEY", "TYPE", "STATE"], rows);
    for recipient in document.recipients() {
        text.push_str(&format!("for {recipient}\n"));
    }
    terminal::data(&text)
}

fn set(keys: &Keys, file: &Path, key: Option<&str>, recipients: &[Recipient]) -> Result<()> {
    let format = format_of(file)?;
    let key = match (format, key) {
        (Format::Age, None) => None,
        (Format::Age, Some(_)) => {
            return Err(usage("an .age file is one value", "leave the key out"));
        }
        (_, Some(key)) => Some(path(key)),
        (_, None) => return Err(usage("a key is missing", "name one, such as `db.password`")),
    };
    let is_new = !file.exists();
    if !is_new && !recipients.is_empty() && format != Format::Age {
        return Err(usage(
            "the file has recipients already",
            "change them with `ordain secret rotate FILE --for RECIPIENT`",
        ));
    }
    let recipients = || match recipients {
        [] => default_recipients(keys, file),
        given => Ok(given.to_vec()),
    };
    let Some(key) = key else {
        let recipients = recipients()?;
        let value = value(&format!("value of {}", file.display()))?;
        let sealed = armor(&encrypt(&recipients, value.as_bytes(), &mut SystemRandom));
        return write(file, sealed.as_bytes());
    };
    let mut editor = match is_new {
        true => Document::create(format, &recipients()?, &mut SystemRandom)
            .map_err(|error| failure(error, file))?,
        false => open(keys, file)?,
    };
    let value = value(&format!("value of `{}`", key.join(".")))?;
    editor
        .set(&key, Plain::text(&value))
        .map_err(|error| failure(error, file))?;
    finish(editor, file)
}

fn get(keys: &Keys, file: &Path, key: Option<&str>) -> Result<()> {
    let opened = read(file)?
        .open(&load(keys)?)
        .map_err(|error| no_key(error, keys, file))?;
    let key = key.map_or_else(Vec::new, path);
    let plain = opened.get(&key).map_err(|error| failure(error, file))?;
    let text = plain
        .to_text()
        .ok_or_else(|| miette!("the value is no text"))?;
    terminal::data(&text)?;
    match io::stdout().is_terminal() {
        true => terminal::data("\n"),
        false => Ok(()),
    }
}

fn edit(keys: &Keys, file: &Path) -> Result<()> {
    let mut editor = open(keys, file)?;
    // Nobody else can read it; it is overwritten before it goes.
    let mut plain = tempfile::Builder::new()
        .prefix("ordain-")
        .suffix(".yaml")
        .tempfile()
        .into_diagnostic()
        .wrap_err("cannot make a temporary file")?;
    let before = editor.to_plain_yaml();
    let written = plain
        .write_all(before.as_bytes())
        .and_then(|()| plain.flush());
    written
        .into_diagnostic()
        .wrap_err("cannot write the temporary file")?;
    let after = in_editor(plain.path());
    let length = std::fs::metadata(plain.path()).map_or(0, |about| about.len());
    let _ = std::fs::write(
        plain.path(),
        vec![b' '; usize::try_from(length).unwrap_or(0)],
    );
    let after = after?;
    if *after == *before {
        terminal::say("nothing changed");
        return Ok(());
    }
    editor
        .take_plain_yaml(&after)
        .map_err(|error| failure(error, file))?;
    finish(editor, file)
}

fn in_editor(path: &Path) -> Result<Wiped<String>> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.unwrap_or_else(|_| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = std::process::Command::new(program)
        .args(words)
        .arg(path)
        .status()
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot start the editor `{program}`"))?;
    if !status.success() {
        return Err(miette!(
            "the editor `{program}` failed; nothing was changed"
        ));
    }
    std::fs::read_to_string(path)
        .map(Wiped::new)
        .into_diagnostic()
        .wrap_err("cannot read the temporary file")
}

fn rotate(keys: &Keys, file: &Path, recipients: &[Recipient]) -> Result<()> {
    if format_of(file)? == Format::Age {
        let opened = read(file)?
            .open(&load(keys)?)
            .map_err(|error| no_key(error, keys, file))?;
        let plain = opened.get(&[]).map_err(|error| failure(error, file))?;
        let text = plain
            .to_text()
            .ok_or_else(|| miette!("the value is no text"))?;
        let recipients = match recipients {
            [] => default_recipients(keys, file)?,
            given => given.to_vec(),
        };
        return write(
            file,
            armor(&encrypt(&recipients, text.as_bytes(), &mut SystemRandom)).as_bytes(),
        );
    }
    let document = read(file)?;
    let recipients = match recipients {
        [] => document
            .recipients()
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Recipient>, _>>()
            .map_err(|error| report(error, Some("name the recipients with --for".to_owned())))?,
        given => given.to_vec(),
    };
    let mut editor = document
        .edit(&load(keys)?)
        .map_err(|error| no_key(error, keys, file))?;
    editor
        .rotate(&recipients, &mut SystemRandom)
        .map_err(|error| failure(error, file))?;
    finish(editor, file)
}

/// Who a new file is for: what `.sops.yaml` says, else the keys that are here.
fn default_recipients(keys: &Keys, file: &Path) -> Result<Vec<Recipient>> {
    if let Some(recipients) = sops_rule(file)? {
        return Ok(recipients);
    }
    let mut recipients: Vec<Recipient> = load(keys)?.iter().map(Identity::recipient).collect();
    if recipients.is_empty() {
        let own = keys.ensure_own().map_err(keys_report)?;
        terminal::say(&format!("made the key {}", keys.own_file().display()));
        recipients.push(own);
    }
    Ok(recipients)
}

/// The age recipients of the first creation rule in the nearest `.sops.yaml` that fits the file.
fn sops_rule(file: &Path) -> Result<Option<Vec<Recipient>>> {
    let file = std::path::absolute(file).into_diagnostic()?;
    let folders = file.ancestors().skip(1);
    let Some((folder, text)) = folders
        .filter_map(|folder| {
            Some((
                folder,
                std::fs::read_to_string(folder.join(".sops.yaml")).ok()?,
            ))
        })
        .next()
    else {
        return Ok(None);
    };
    let relative = file.strip_prefix(folder).unwrap_or(&file);
    let relative = relative.to_string_lossy().replace('\\', "/");
    let about = || format!("cannot use {}", folder.join(".sops.yaml").display());
    let recipients = ordain_lang_secrets::creation_rule(&text, &relative)
        .into_diagnostic()
        .wrap_err_with(about)?;
    Ok(recipients)
}

fn format_of(file: &Path) -> Result<Format> {
    Format::of(&file.to_string_lossy()).map_err(|error| {
        usage(
            format!("`{}` is no secrets file", file.display()),
            error.to_string(),
        )
    })
}

fn read(file: &Path) -> Result<Document> {
    let format = format_of(file)?;
    let bytes = std::fs::read(file)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", file.display()))?;
    Document::parse(format, &bytes).map_err(|error| failure(error.into(), file))
}

fn load(keys: &Keys) -> Result<Vec<Identity>> {
    keys.load().map_err(keys_report)
}

fn open(keys: &Keys, file: &Path) -> Result<Editor> {
    if format_of(file)? == Format::Age {
        return Err(usage(
            "an .age file is one value",
            "set it anew with `ordain secret set FILE`",
        ));
    }
    let document = read(file)?;
    document
        .edit(&load(keys)?)
        .map_err(|error| no_key(error, keys, file))
}

fn finish(editor: Editor, file: &Path) -> Result<()> {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let bytes = editor
        .finish(&now, &mut SystemRandom)
        .map_err(|error| failure(error, file))?;
    write(file, &bytes)
}

/// Replaces the file as a whole, so that a failure leaves the old one.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    write()
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", file.display()))?;
    terminal::say(&format!("{} is encrypted", file.display()));
    Ok(())
}

/// Asks for a value, or reads it from a pipe; one line end at its end is not part of it.
fn value(what: &str) -> Result<Wiped<String>> {
    let mut text = Wiped::new(String::new());
    if io::stdin().is_terminal() {
        *text = crate::prompt::hidden(&format!("{what}: "))?;
    } else {
        io::stdin()
            .read_to_string(&mut text)
            .into_diagnostic()
            .wrap_err("cannot read the value from stdin")?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
    }
    match text.is_empty() {
        true => Err(usage(
            "the value is empty",
            "pipe it in, or type it at the prompt",
        )),
        false => Ok(text),
    }
}

fn path(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

fn failure(error: ordain_lang_secrets::OpenError, file: &Path) -> miette::Report {
    report(error, None).wrap_err(format!("cannot use {}", file.display()))
}

/// Says where keys were looked for, when that is what is missing.
fn no_key(error: ordain_lang_secrets::OpenError, keys: &Keys, file: &Path) -> miette::Report {
    let help = match &error {
        ordain_lang_secrets::OpenError::NoIdentity { .. } => {
            Some(format!("keys were looked for in {}", keys.places()))
        }
        _ => None,
    };
    report(error, help).wrap_err(format!("cannot open {}", file.display()))
}
