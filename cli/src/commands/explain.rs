//! `ordain explain CODE`: the page of a diagnostic.

use crate::Outcome;
use crate::args::Format;
use crate::terminal;
use miette::miette;

/// Show the page of a diagnostic code
///
/// Each code that `check` prints has a page: what it means, a program that fails and the same program mended.
#[derive(clap::Args)]
pub(crate) struct ExplainArgs {
    /// The code, such as `E0203`
    #[arg(value_name = "CODE")]
    code: String,
}

pub(crate) fn run(args: &ExplainArgs, format: Format) -> miette::Result<Outcome> {
    let code = args.code.to_uppercase();
    let Some(page) = ordain_lang_types::page(&code) else {
        let near = ordain_lang_types::codes().min_by_key(|c| distance(c, &code));
        let help = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        return Err(miette!(
            help = help,
            "no diagnostic has the code `{}`",
            args.code
        ));
    };
    match format {
        Format::Text => terminal::data(page)?,
        Format::Json => terminal::json(&serde_json::json!({ "code": code, "page": page }))?,
    }
    Ok(Outcome::Done)
}

/// Returns in how many places two codes differ.
fn distance(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .filter(|(a, b)| a != b)
        .count()
        + one.len().abs_diff(other.len())
}
