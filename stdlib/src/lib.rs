//! The standard library: modules written in the language, embedded as text.
//!
//! Knows nothing of how they are parsed; every `.ord` file below `std/` is one entry of [`MODULES`].

/// A module of the standard library.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Its path as `use` names it: `std.web`.
    pub path: &'static str,
    /// The name that diagnostics show for the file.
    pub file: &'static str,
    /// Its source.
    pub text: &'static str,
}

/// All modules, sorted by path.
pub const MODULES: &[Module] = &[Module {
    path: "std.web",
    file: "std/web.ord",
    text: include_str!("../std/web.ord"),
}];

/// Finds a module by its path.
pub fn module(path: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.path == path)
}

#[cfg(test)]
mod tests {
    use super::MODULES;

    #[test]
    fn every_file_is_a_module_under_its_own_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/std");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| {
                entry
                    .expect("it is readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        files.sort();
        let known: Vec<String> = MODULES
            .iter()
            .map(|module| module.file.trim_start_matches("std/").to_owned())
            .collect();
        assert_eq!(files, known);
        for module in MODULES {
            assert_eq!(
                module.file,
                format!("{}.ord", module.path.replace('.', "/"))
            );
        }
    }
}
