//! Which project a path on the command line means.

use ordain_lang_project::{Disk, MANIFEST, Project, Session};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A path that leads to no sources.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum DiskError {
    #[error("there is no `{}`", path.display())]
    #[diagnostic(help("name a project folder or a file that ends in .ord"))]
    Missing { path: PathBuf },
    #[error("`{}` is not an .ord file", path.display())]
    #[diagnostic(help(
        "name a project folder or a file that ends in .ord; `-` reads one file from stdin"
    ))]
    NotOurs { path: PathBuf },
    #[error("`{}` is in no project", path.display())]
    #[diagnostic(help(
        "a project is a folder with an {MANIFEST}; make one with `ordain new NAME`, or name a single .ord file"
    ))]
    NoProject { path: PathBuf },
    #[error("stdin cannot be watched")]
    #[diagnostic(help("name a project folder or a file that ends in .ord"))]
    Stdin,
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DiskError {
    /// Returns whether another command line is the remedy.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(self, DiskError::Read { .. })
    }
}

/// Loads the project that `path` belongs to, the single file that it names, or what stdin holds for `-`.
///
/// # Errors
/// Returns an error when there is nothing to load. What is wrong with the sources is in the project's diagnostics.
pub(crate) fn load(path: &Path) -> Result<Project, DiskError> {
    open(path).map(|(project, _)| project)
}

/// Loads as [`load`] does, and returns the folder that the project's paths start from.
///
/// # Errors
/// As [`load`].
pub(crate) fn open(path: &Path) -> Result<(Project, Disk), DiskError> {
    let read = |source| DiskError::Read {
        path: path.to_owned(),
        source,
    };
    let here = || Disk::new(".");
    if path == Path::new("-") {
        let text = io::read_to_string(io::stdin()).map_err(read)?;
        return Ok((Project::single("stdin.ord", text), here()));
    }
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DiskError::Missing {
            path: path.to_owned(),
        },
        _ => read(error),
    })?;
    if kind.is_dir() {
        let disk = Disk::find(path).ok_or_else(|| DiskError::NoProject {
            path: path.to_owned(),
        })?;
        return Ok((Project::load(&disk), disk));
    }
    if path.extension().is_none_or(|e| e != "ord") {
        return Err(DiskError::NotOurs {
            path: path.to_owned(),
        });
    }
    let content = fs::read(path).map_err(read)?;
    Ok((
        Project::single_beside(&path.display().to_string(), content, &beside(path)),
        here(),
    ))
}

/// The folder of a file.
fn beside(path: &Path) -> Disk {
    Disk::new(match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    })
}

/// A project that stays open.
pub(crate) struct Opened {
    pub(crate) session: Session,
    /// The folder that the project's paths start from.
    pub(crate) disk: Disk,
    /// The file, when it is one without a project.
    pub(crate) single: Option<PathBuf>,
}

/// Opens what `path` names, to be looked at again and again.
///
/// # Errors
/// As [`load`], and for `-`, which cannot change.
pub(crate) fn watch(path: &Path) -> Result<Opened, DiskError> {
    if path == Path::new("-") {
        return Err(DiskError::Stdin);
    }
    if path.is_dir() {
        let disk = Disk::find(path).ok_or_else(|| DiskError::NoProject {
            path: path.to_owned(),
        })?;
        return Ok(Opened {
            session: Session::new(disk.clone()),
            disk,
            single: None,
        });
    }
    let (project, disk) = open(path)?;
    let text = project
        .modules
        .first()
        .map_or("", |module| project.sources.text(module.file));
    Ok(Opened {
        session: Session::single(&path.display().to_string(), text, beside(path)),
        disk,
        single: Some(path.to_owned()),
    })
}
