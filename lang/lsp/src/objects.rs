//! The objects that a project builds, as far as references name them: kinds, names, keys, ports. No values.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ordain_lang_project::App;
use serde_json::Value;

/// The objects of the last build without errors, of all environments.
#[derive(Clone, Default, Debug)]
pub(crate) struct Known {
    apps: Vec<(Arc<App>, Vec<KnownObject>)>,
}

/// An object that can be referred to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct KnownObject {
    /// `ConfigMap`.
    pub(crate) kind: String,
    /// `metadata.name`.
    pub(crate) name: String,
    /// The app that makes it.
    pub(crate) app: String,
    /// Keys of `data`, `binaryData` and `stringData`; never their values.
    pub(crate) keys: BTreeSet<String>,
    /// Names of container and Service ports.
    pub(crate) ports: BTreeSet<String>,
}

impl Known {
    /// Takes in the apps of a build; only those that are new or changed are read.
    pub(crate) fn take(&mut self, apps: &[Arc<App>]) {
        let old = std::mem::take(&mut self.apps).into_iter();
        let mut old: HashMap<*const App, _> = old
            .map(|(app, objects)| (Arc::as_ptr(&app), (app, objects)))
            .collect();
        let one = |app: &Arc<App>| {
            let known = old.remove(&Arc::as_ptr(app));
            known.unwrap_or_else(|| (Arc::clone(app), read(app)))
        };
        self.apps = apps.iter().map(one).collect();
    }

    /// Returns the objects of a kind, each once; of all kinds without one.
    pub(crate) fn of_kind<'k>(
        &'k self,
        kind: Option<&'k str>,
    ) -> impl Iterator<Item = &'k KnownObject> {
        let objects = self
            .all()
            .filter(|object| kind.is_none_or(|kind| object.kind == kind));
        // Environments make the same ones.
        objects.collect::<BTreeSet<_>>().into_iter()
    }

    /// Returns the keys of the objects with a kind and a name; without a name, of all.
    pub(crate) fn keys(&self, kind: &str, name: Option<&str>) -> BTreeSet<&str> {
        self.all()
            .filter(|object| object.kind == kind)
            .filter(|object| name.is_none_or(|name| object.name == name))
            .flat_map(|object| object.keys.iter().map(String::as_str))
            .collect()
    }

    /// Returns the names of ports.
    pub(crate) fn ports(&self) -> BTreeSet<&str> {
        self.all()
            .flat_map(|object| object.ports.iter().map(String::as_str))
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &KnownObject> {
        self.apps.iter().flat_map(|(_, objects)| objects)
    }
}

/// Reads the objects of an app.
fn read(app: &App) -> Vec<KnownObject> {
    let objects = app.objects.iter().filter_map(|object| {
        let text = |at: &str| object.json.pointer(at).and_then(Value::as_str);
        let (kind, name) = (text("/kind")?, text("/metadata/name")?);
        let mut keys = BTreeSet::new();
        for map in ["/data", "/binaryData", "/stringData"] {
            if let Some(Value::Object(map)) = object.json.pointer(map) {
                keys.extend(map.keys().cloned());
            }
        }
        let mut ports = BTreeSet::new();
        port_names(&object.json, &mut ports);
        Some(KnownObject {
            kind: kind.to_owned(),
            name: name.to_owned(),
            app: app.name.clone(),
            keys,
            ports,
        })
    });
    objects.collect()
}

/// Names in `ports` lists of Services and containers.
fn port_names(json: &Value, names: &mut BTreeSet<String>) {
    let lists = [
        "/spec/ports",
        "/spec/template/spec/containers",
        "/spec/containers",
    ];
    for at in lists {
        for element in json
            .pointer(at)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let ports = element.get("ports").and_then(Value::as_array);
            for port in ports.into_iter().flatten().chain([element]) {
                let is_port = port.get("port").or(port.get("containerPort")).is_some();
                if let (true, Some(name)) = (is_port, port.get("name").and_then(Value::as_str)) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
}
