//! The bare repository which `ordain up` serves: created once, its hooks rewritten at each start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, HookStage, Repository, locks};

/// The branch a new hosted repository starts with.
pub const DEFAULT_BRANCH: &str = "main";

/// The hosted repository of a data directory.
#[derive(Debug, Clone)]
pub struct Hosted {
    repository: Repository,
    path: PathBuf,
}

impl Hosted {
    /// Opens `<data_dir>/git/ordain.git`, creating it on the first start.
    ///
    /// `program` is the running executable: the hooks call it as
    /// `program __hook --data-dir <data_dir> <stage>`, so they are written anew at each start
    /// and follow a binary or data directory that moved. `branch` is what a clone checks out.
    ///
    /// # Errors
    /// When the repository or a hook cannot be written.
    pub fn open_or_create(data_dir: &Path, program: &Path, branch: &str) -> Result<Self, Error> {
        // Git runs hooks in the repository's folder, and people clone from anywhere.
        let data_dir = &std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        let path = data_dir.join("git").join("ordain.git");
        let create = |source| Error::Create {
            path: path.clone(),
            source,
        };
        let inner = if path.join("HEAD").exists() {
            let unlock = |source| Error::Unlock {
                path: path.clone(),
                source,
            };
            locks::release(&path).map_err(unlock)?;
            let name = path.display().to_string();
            git2::Repository::open_bare(&path)
                .map_err(|source| Error::Open { path: name, source })?
        } else {
            let mut options = git2::RepositoryInitOptions::new();
            options
                .bare(true)
                .mkpath(true)
                .initial_head(branch)
                .external_template(false);
            let inner = git2::Repository::init_opts(&path, &options).map_err(create)?;
            // A stray `git push --force` should be seen by the engine, not refused by git:
            // the reconciler records a non-fast-forward and carries on.
            let mut config = inner.config().map_err(create)?;
            config
                .set_bool("receive.denyNonFastForwards", false)
                .map_err(create)?;
            config
                .set_bool("receive.denyDeletes", false)
                .map_err(create)?;
            config
                .set_bool("receive.fsckObjects", true)
                .map_err(create)?;
            inner
        };
        for stage in [HookStage::PreReceive, HookStage::PostReceive] {
            let hook = path.join("hooks").join(stage.name());
            write_hook(&hook, &script(stage, program, data_dir)).map_err(|source| {
                Error::WriteHook {
                    path: hook.clone(),
                    source,
                }
            })?;
        }
        Ok(Self {
            repository: Repository::wrap(inner),
            path,
        })
    }

    /// The repository itself.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// True when `git config ordain.receiveBroken true` was set: then the branch moves although the
    /// commit does not compile, and the cluster stays as it is.
    #[must_use]
    pub fn receives_broken(&self) -> bool {
        let guard = self.repository.lock();
        guard
            .config()
            .and_then(|config| config.get_bool("ordain.receiveBroken"))
            .unwrap_or(false)
    }

    /// What to give to `git remote add`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The text of a hook. Git runs hooks by `sh` on every system, its own on Windows.
fn script(stage: HookStage, program: &Path, data_dir: &Path) -> String {
    format!(
        "#!/bin/sh\n# Written by `ordain up` at each start; changes are lost.\n\
         exec {} __hook --data-dir {} {}\n",
        quote(program),
        quote(data_dir),
        stage.name(),
    )
}

/// Quotes a path for `sh`: single quotes hold everything but themselves.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Writes beside the hook and renames, so that a push never runs half a script.
fn write_hook(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_survives_quotes_and_spaces_in_paths() {
        let text = script(
            HookStage::PreReceive,
            Path::new("/o'r d/ordain"),
            Path::new("/d a"),
        );
        insta::assert_snapshot!(text, @r"
        #!/bin/sh
        # Written by `ordain up` at each start; changes are lost.
        exec '/o'\''r d/ordain' __hook --data-dir '/d a' pre-receive
        ");
    }
}
