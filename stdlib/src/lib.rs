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
pub const MODULES: &[Module] = &[
    Module {
        path: "std.access",
        file: "std/access.ord",
        text: include_str!("../std/access.ord"),
    },
    Module {
        path: "std.availability",
        file: "std/availability.ord",
        text: include_str!("../std/availability.ord"),
    },
    Module {
        path: "std.ingress",
        file: "std/ingress.ord",
        text: include_str!("../std/ingress.ord"),
    },
    Module {
        path: "std.job",
        file: "std/job.ord",
        text: include_str!("../std/job.ord"),
    },
    Module {
        path: "std.labels",
        file: "std/labels.ord",
        text: include_str!("../std/labels.ord"),
    },
    Module {
        path: "std.mount",
        file: "std/mount.ord",
        text: include_str!("../std/mount.ord"),
    },
    Module {
        path: "std.network",
        file: "std/network.ord",
        text: include_str!("../std/network.ord"),
    },
    Module {
        path: "std.probe",
        file: "std/probe.ord",
        text: include_str!("../std/probe.ord"),
    },
    Module {
        path: "std.security",
        file: "std/security.ord",
        text: include_str!("../std/security.ord"),
    },
    Module {
        path: "std.settings",
        file: "std/settings.ord",
        text: include_str!("../std/settings.ord"),
    },
    Module {
        path: "std.site",
        file: "std/site.ord",
        text: include_str!("../std/site.ord"),
    },
    Module {
        path: "std.storage",
        file: "std/storage.ord",
        text: include_str!("../std/storage.ord"),
    },
    Module {
        path: "std.variable",
        file: "std/variable.ord",
        text: include_str!("../std/variable.ord"),
    },
    Module {
        path: "std.web",
        file: "std/web.ord",
        text: include_str!("../std/web.ord"),
    },
    Module {
        path: "std.workload",
        file: "std/workload.ord",
        text: include_str!("../std/workload.ord"),
    },
];

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
