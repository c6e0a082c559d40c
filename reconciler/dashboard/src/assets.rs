//! The page and what belongs to it, in the binary.

/// A file that everybody may see: there is nothing of a cluster in it.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
}

/// The page itself.
pub(crate) const PAGE: Asset = Asset {
    path: "/",
    kind: "text/html; charset=utf-8",
    text: include_str!("assets/index.html"),
};

/// For whoever does not bring the key.
pub(crate) const CLOSED: &str = include_str!("assets/closed.html");

const OTHERS: [Asset; 5] = [
    Asset {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset {
        path: "/main.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/main.js"),
    },
    Asset {
        path: "/pages.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/pages.js"),
    },
    Asset {
        path: "/dom.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/dom.js"),
    },
    Asset {
        path: "/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

/// Finds a file by its path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    OTHERS.iter().find(|asset| asset.path == path)
}
