//! A static site of what a project declares: its types, functions, apps and environments, the standard library, and the
//! Kubernetes types that they name.
//!
//! [`site`] returns pages as text; where they are written is the caller's business. The pages load nothing from elsewhere,
//! work without a server and without scripts (only the search needs one), and say the same for the same sources.

mod code;
mod kube;
mod links;
mod markdown;
mod module;
mod overview;
mod page;
mod search;

use links::Links;
use ordain_lang_project::Project;

/// A file of the site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its path below the site's folder, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Makes the site of a project. What is wrong with the sources is left out or shown as it is written: a page is no check.
pub fn site(mut project: Project) -> Vec<Page> {
    project.add_library();
    let links = Links::new(&project);
    let mut pages = vec![overview::page(&links)];
    pages.extend(links.modules().map(|module| module::page(&links, module)));
    pages.extend(kube::pages(&links));
    pages.push(search::index(&links));
    let assets = [
        ("style.css", include_str!("../assets/style.css")),
        ("search.js", include_str!("../assets/search.js")),
    ];
    pages.extend(assets.map(|(path, text)| Page {
        path: path.to_owned(),
        text: text.to_owned(),
    }));
    pages
}
