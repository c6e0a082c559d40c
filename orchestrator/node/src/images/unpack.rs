//! Unpacks one layer into a folder.
//!
//! Layers come from strangers. Names with `..` are refused; parents that are symlinks resolve inside
//! the folder as they would after chroot; nothing is opened through a symlink in the last place;
//! hard links may only point at what the folder holds. The writer of the layer cannot run anything
//! meanwhile, so no race has to be won.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{Mode as FileMode, SFlag, makedev, mknod};
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::model::{ImageError, format_digest};

/// How many symlinks a name may pass through, as in the kernel (MAXSYMLINKS, linux/namei.h).
const SYMLINKS_MAX: usize = 40;

/// The name prefix of a deletion (OCI image-spec, layer.md, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";

/// The name that hides all of a folder's lower content.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the folder will be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A lower folder of overlayfs: deletions become its device nodes and attributes. Needs root.
    Overlay,
    /// On top of what the folder already holds: deletions delete. Needs no root; owners and device
    /// nodes are left out.
    Flat,
}

/// Unpacks a layer (plain, gzip or zstd tar) into `root` and returns the digest of the plain tar.
///
/// # Errors
/// When the stream is damaged, an entry is refused, or a file cannot be written.
pub fn unpack(from: impl BufRead, root: &Path, mode: Mode) -> Result<String, ImageError> {
    let mut stream = HashReader {
        inner: decompress(from, root)?,
        hash: Sha256::new(),
    };
    let mut layer = Layer {
        root,
        mode,
        own: HashSet::new(),
        folders: Vec::new(),
    };
    let mut archive = tar::Archive::new(&mut stream);
    let entries = archive
        .entries()
        .map_err(ImageError::io("read the layer for", root))?;
    for entry in entries {
        let mut entry = entry.map_err(ImageError::io("read the layer for", root))?;
        layer.entry(&mut entry)?;
    }
    layer.seal()?;
    // What follows the end marker counts for the digest as well.
    io::copy(&mut stream, &mut io::sink()).map_err(ImageError::io("read the layer for", root))?;
    Ok(format_digest(stream.hash.finalize().as_slice()))
}

/// Removes a file or a whole folder without following links; what is gone is fine.
pub(crate) fn clear(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "leftover could not be removed");
    }
}

fn decompress<'a>(
    mut from: impl BufRead + 'a,
    root: &Path,
) -> Result<Box<dyn Read + 'a>, ImageError> {
    let head = from
        .fill_buf()
        .map_err(ImageError::io("read the layer for", root))?;
    // RFC 1952 section 2.3.1 and RFC 8878 section 3.1.1.
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(from))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(from);
        Box::new(decoder.map_err(ImageError::io("read the layer for", root))?)
    } else {
        Box::new(from)
    })
}

struct HashReader<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

struct Layer<'a> {
    root: &'a Path,
    mode: Mode,
    /// What this layer itself brought, which its own opaque marks do not delete.
    own: HashSet<PathBuf>,
    /// Modes of folders, set last so that a read-only one can be filled first.
    folders: Vec<(PathBuf, u32)>,
}

impl Layer<'_> {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), ImageError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            return Ok(());
        }
        let raw = entry.path_bytes().into_owned();
        let refuse = |reason: &str| ImageError::Layer {
            entry: String::from_utf8_lossy(&raw).into_owned(),
            reason: reason.to_owned(),
        };
        if raw.contains(&0) {
            return Err(refuse("its name holds a zero byte"));
        }
        let Some((parent, name)) = split(Path::new(OsStr::from_bytes(&raw)))
            .map_err(|()| refuse("its name leads out of the layer"))?
        else {
            // The entry for the root itself carries only its mode.
            self.folders
                .push((self.root.to_owned(), entry.header().mode().unwrap_or(0o755)));
            return Ok(());
        };
        let folder = self
            .folder(&parent)
            .map_err(|error| refuse(&error.to_string()))?;
        if name.as_bytes() == OPAQUE {
            return self.opaque(&folder);
        }
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) {
            let hidden = OsStr::from_bytes(hidden);
            if split(Path::new(hidden)) != Ok(Some((PathBuf::new(), hidden.to_owned()))) {
                return Err(refuse("it deletes no proper name"));
            }
            return self.whiteout(&folder.join(hidden));
        }
        let to = folder.join(&name);
        self.own.insert(to.clone());
        let header = entry.header().clone();
        let mode = header.mode().unwrap_or(0o644) & 0o7777;
        if kind.is_dir() {
            match fs::symlink_metadata(&to) {
                Ok(meta) if meta.is_dir() => {}
                _ => {
                    clear(&to);
                    fs::create_dir(&to).map_err(ImageError::io("create", &to))?;
                }
            }
            self.own_it(entry, &to)?;
            self.folders.push((to, mode));
            return Ok(());
        }
        clear(&to);
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // `create_new` never follows a link in the last place.
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                let mut file = options.open(&to).map_err(ImageError::io("create", &to))?;
                io::copy(entry, &mut file).map_err(ImageError::io("write", &to))?;
                self.own_it(entry, &to)?;
                self.chmod(&to, mode)?;
                set_time(&file, header.mtime().unwrap_or(0));
            }
            EntryType::Symlink => {
                let target = entry
                    .link_name_bytes()
                    .ok_or_else(|| refuse("it has no target"))?;
                symlink(OsStr::from_bytes(&target), &to).map_err(ImageError::io("create", &to))?;
                self.own_it(entry, &to)?;
            }
            EntryType::Link => {
                let target = entry
                    .link_name_bytes()
                    .ok_or_else(|| refuse("it has no target"))?;
                let found = split(Path::new(OsStr::from_bytes(&target)))
                    .map_err(|()| refuse("its target leads out of the layer"))?;
                let (parent, name) = found.ok_or_else(|| refuse("its target is the root"))?;
                let folder = scoped(self.root, &parent).map_err(|e| refuse(&e.to_string()))?;
                // linkat without AT_SYMLINK_FOLLOW links a symlink itself.
                let linked = fs::hard_link(folder.join(name), &to);
                linked.map_err(ImageError::io("link", &to))?;
            }
            EntryType::Fifo => self.node(&to, SFlag::S_IFIFO, mode, 0, entry)?,
            EntryType::Char | EntryType::Block => {
                let major = header.device_major().ok().flatten().unwrap_or(0);
                let minor = header.device_minor().ok().flatten().unwrap_or(0);
                let flag = if kind == EntryType::Char {
                    SFlag::S_IFCHR
                } else {
                    SFlag::S_IFBLK
                };
                // A 0:0 character device would be a whiteout in disguise.
                if (major, minor) == (0, 0) {
                    return Err(refuse("it is an overlayfs whiteout"));
                }
                let device = makedev(major.into(), minor.into());
                self.node(&to, flag, mode, device, entry)?;
            }
            other => tracing::debug!(kind = ?other, path = %to.display(), "entry left out"),
        }
        Ok(())
    }

    /// Makes the folder of an entry and returns where it really is.
    fn folder(&mut self, parent: &Path) -> io::Result<PathBuf> {
        let folder = scoped(self.root, parent)?;
        match fs::symlink_metadata(&folder) {
            Ok(meta) if meta.is_dir() => return Ok(folder),
            Ok(_) => return Err(io::Error::other("its folder is not a folder")),
            Err(_) => {}
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn opaque(&self, folder: &Path) -> Result<(), ImageError> {
        match self.mode {
            Mode::Overlay => xattr::set(folder, "trusted.overlay.opaque", b"y")
                .map_err(ImageError::io("mark as opaque", folder)),
            Mode::Flat => self.prune(folder).map_err(ImageError::io("empty", folder)),
        }
    }

    /// Deletes what lower layers put into `folder`.
    fn prune(&self, folder: &Path) -> io::Result<()> {
        for child in fs::read_dir(folder)? {
            let path = child?.path();
            if !self.own.contains(&path) {
                clear(&path);
            } else if fs::symlink_metadata(&path)?.is_dir() {
                self.prune(&path)?;
            }
        }
        Ok(())
    }

    fn whiteout(&self, path: &Path) -> Result<(), ImageError> {
        clear(path);
        if self.mode == Mode::Overlay {
            // linux/Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
            mknod(path, SFlag::S_IFCHR, FileMode::empty(), makedev(0, 0))
                .map_err(|error| ImageError::io("mark as deleted", path)(error.into()))?;
        }
        Ok(())
    }

    fn node<R: Read>(
        &self,
        to: &Path,
        kind: SFlag,
        mode: u32,
        device: u64,
        entry: &mut tar::Entry<'_, R>,
    ) -> Result<(), ImageError> {
        if self.mode == Mode::Flat && kind != SFlag::S_IFIFO {
            return Ok(());
        }
        mknod(to, kind, FileMode::from_bits_truncate(0o600), device)
            .map_err(|error| ImageError::io("create", to)(error.into()))?;
        self.own_it(entry, to)?;
        self.chmod(to, mode)
    }

    /// Gives a file its owner and attributes; both only mean something as root.
    fn own_it<R: Read>(&self, entry: &mut tar::Entry<'_, R>, to: &Path) -> Result<(), ImageError> {
        if self.mode == Mode::Flat {
            return Ok(());
        }
        let header = entry.header();
        let (user, group) = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
        let changed = lchown(to, u32::try_from(user).ok(), u32::try_from(group).ok());
        changed.map_err(ImageError::io("change the owner of", to))?;
        let Ok(Some(extensions)) = entry.pax_extensions() else {
            return Ok(());
        };
        for extension in extensions.flatten() {
            let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else {
                continue;
            };
            // Overlayfs reads its own marks from `trusted.`: a layer must not bring any.
            if !(name.starts_with(b"user.") || name == b"security.capability") {
                continue;
            }
            if let Err(error) = xattr::set(to, OsStr::from_bytes(name), extension.value_bytes()) {
                tracing::debug!(path = %to.display(), %error, "attribute left out");
            }
        }
        Ok(())
    }

    fn chmod(&self, to: &Path, mode: u32) -> Result<(), ImageError> {
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
            .map_err(ImageError::io("change the mode of", to))
    }

    /// Sets the modes of folders, deepest last come first.
    fn seal(&mut self) -> Result<(), ImageError> {
        // Without root a folder must stay writable, or it could never be removed.
        let floor = if self.mode == Mode::Flat { 0o700 } else { 0 };
        for (path, mode) in std::mem::take(&mut self.folders).into_iter().rev() {
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                self.chmod(&path, (mode & 0o7777) | floor)?;
            }
        }
        Ok(())
    }
}

fn set_time(file: &File, seconds: u64) {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    if let Some(time) = time {
        // Only cosmetic: a file system that refuses the time still has the content.
        let _ = file.set_modified(time);
    }
}

/// Splits an entry's name into its folder and last part; `None` is the root itself.
fn split(path: &Path) -> Result<Option<(PathBuf, OsString)>, ()> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            // Absolute names are taken from the root of the layer, as tar does.
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(()),
        }
    }
    let Some(name) = parts.pop() else {
        return Ok(None);
    };
    Ok(Some((parts.iter().collect(), name.to_owned())))
}

/// Resolves `path` as if `root` were `/`: links never lead out. Missing parts stay as they are.
pub(crate) fn scoped(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut pending: Vec<OsString> = path.components().rev().filter_map(part).collect();
    let mut inside = PathBuf::new();
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            inside.pop();
            continue;
        }
        let candidate = root.join(&inside).join(&name);
        match fs::symlink_metadata(&candidate) {
            Ok(meta) if meta.file_type().is_symlink() => {
                links += 1;
                if links > SYMLINKS_MAX {
                    return Err(io::Error::other("too many symbolic links"));
                }
                let target = fs::read_link(&candidate)?;
                if target.is_absolute() {
                    inside = PathBuf::new();
                }
                pending.extend(target.components().rev().filter_map(part));
            }
            _ => inside.push(name),
        }
    }
    Ok(root.join(inside))
}

fn part(component: Component<'_>) -> Option<OsString> {
    match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Maker(tar::Builder<Vec<u8>>);

    impl Maker {
        fn add(&mut self, name: &str, kind: EntryType, link: &str, body: &str) -> &mut Self {
            let mut header = tar::Header::new_gnu();
            // The crate refuses bad names when asked nicely, so the bytes are set directly.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
            header.set_size(body.len() as u64);
            header.set_cksum();
            self.0
                .append(&header, body.as_bytes())
                .expect("written to memory");
            self
        }

        fn file(&mut self, name: &str, body: &str) -> &mut Self {
            self.add(name, EntryType::Regular, "", body)
        }

        fn unpack(&mut self, root: &Path) -> Result<(), String> {
            let tar = std::mem::replace(&mut self.0, tar::Builder::new(Vec::new()));
            let bytes = tar.into_inner().expect("written to memory");
            let digest = unpack(bytes.as_slice(), root, Mode::Flat).map_err(|e| e.to_string())?;
            assert_eq!(digest, super::super::model::digest_of(&bytes));
            Ok(())
        }
    }

    fn layer() -> Maker {
        Maker(tar::Builder::new(Vec::new()))
    }

    fn tree(root: &Path) -> Vec<String> {
        fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
            for child in fs::read_dir(at).expect("readable") {
                let path = child.expect("readable").path();
                let meta = fs::symlink_metadata(&path).expect("there");
                let name = path
                    .strip_prefix(root)
                    .expect("below")
                    .display()
                    .to_string();
                if meta.is_dir() {
                    out.push(format!("{name}/"));
                    walk(root, &path, out);
                } else {
                    out.push(name);
                }
            }
        }
        let mut out = Vec::new();
        walk(root, root, &mut out);
        out.sort();
        out
    }

    #[test]
    fn later_layers_delete_and_replace() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        layer()
            .file("a/one", "1")
            .file("a/two", "2")
            .file("b/three", "3")
            .add("c", EntryType::Directory, "", "")
            .file("c/four", "4")
            .unpack(root)
            .expect("good layer");
        layer()
            .file("a/.wh.one", "")
            .file("b/new", "n")
            .file("b/.wh..wh..opq", "")
            .file("c", "now a file")
            .unpack(root)
            .expect("good layer");
        assert_eq!(tree(root), ["a/", "a/two", "b/", "b/new", "c"]);
    }

    #[test]
    fn links_resolve_inside_the_layer() {
        let outside = tempfile::tempdir().expect("a folder");
        let root = tempfile::tempdir().expect("a folder");
        let target = outside.path().to_str().expect("plain").to_owned();
        layer()
            .add("usr/lib", EntryType::Directory, "", "")
            .add("lib", EntryType::Symlink, "usr/lib", "")
            .file("lib/x", "x")
            .add("out", EntryType::Symlink, &target, "")
            .add("up", EntryType::Symlink, "../../../..", "")
            .file("out/escape", "e")
            .file("up/escape", "e")
            .add("hard", EntryType::Link, "lib/x", "")
            .unpack(root.path())
            .expect("good layer");
        assert_eq!(
            fs::read_to_string(root.path().join("usr/lib/x")).expect("there"),
            "x"
        );
        assert_eq!(
            fs::read_to_string(root.path().join("hard")).expect("there"),
            "x"
        );
        assert!(
            root.path().join("escape").exists(),
            "`up/escape` lands at the root"
        );
        assert_eq!(tree(outside.path()), [""; 0], "nothing lands outside");
    }

    #[test]
    fn a_link_in_the_last_place_is_replaced_not_followed() {
        let outside = tempfile::tempdir().expect("a folder");
        let victim = outside.path().join("victim");
        fs::write(&victim, "safe").expect("written");
        let root = tempfile::tempdir().expect("a folder");
        layer()
            .add("f", EntryType::Symlink, victim.to_str().expect("plain"), "")
            .file("f", "attack")
            .unpack(root.path())
            .expect("good layer");
        assert_eq!(fs::read_to_string(&victim).expect("there"), "safe");
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for (name, kind, link) in [
            ("../x", EntryType::Regular, ""),
            ("a/../../x", EntryType::Regular, ""),
            ("a/.wh...", EntryType::Regular, ""),
            ("a/.wh.", EntryType::Regular, ""),
            ("h", EntryType::Link, "../../etc/passwd"),
            ("h", EntryType::Link, "/etc/passwd"),
            ("dev", EntryType::Char, ""),
        ] {
            let root = tempfile::tempdir().expect("a folder");
            let outcome = layer().add(name, kind, link, "").unpack(root.path());
            assert!(outcome.is_err(), "{name} -> {link} was accepted");
        }
    }
}
