//! The project that `ordain new` begins with. A test checks and builds it.

use crate::manifest::is_project_name;

/// The template's files. Its name is `hello-app`, and `hello_app` where a word is needed.
const FILES: [(&str, &str); 3] = [
    ("ordain.toml", include_str!("../template/ordain.toml")),
    ("app.ord", include_str!("../template/app.ord")),
    ("envs.ord", include_str!("../template/envs.ord")),
];

/// A name that a project cannot have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be a project's name: use small letters, digits and `-`, beginning with a letter, up to 63"
)]
pub struct NameError(pub String);

/// Returns the files of a new project as paths and contents.
///
/// # Errors
/// When the name is not a DNS label that begins with a letter.
pub fn new_project(name: &str) -> Result<Vec<(String, String)>, NameError> {
    if !is_project_name(name) {
        return Err(NameError(name.to_owned()));
    }
    let word = name.replace('-', "_");
    let fill = |text: &str| text.replace("hello_app", &word).replace("hello-app", name);
    Ok(FILES
        .into_iter()
        .map(|(path, text)| (path.to_owned(), fill(text)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        assert!(new_project("my-shop").is_ok());
        for bad in ["", "My", "-a", "a-", "1a", "a_b", "a.b", &"a".repeat(64)] {
            assert_eq!(new_project(bad), Err(NameError(bad.to_owned())));
        }
    }
}
