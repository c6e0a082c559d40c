//! What the loop of the branch does while another reconciler leads: it stays ready to take over, and writes nothing.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_plan::{ApiVersion, MANAGED_BY_LABEL, MANAGER};
use ordain_reconciler_source::CommitId;
use serde_json::{Value, json};

use crate::{engine::blocking, follower::Follower};

impl Follower {
    /// Begins or ceases to lead.
    pub(crate) async fn turn(&mut self) {
        let leads = *self.leads.borrow_and_update();
        // Either way the tip is looked at anew.
        (self.at, self.tries_again) = (None, false);
        if leads {
            return;
        }
        self.sites.forget().await;
        self.term.cancel();
        self.workers.clear();
        self.term = self.shutdown.child_token();
        // What they said is the new leader's to say.
        self.shared.statuses().clear();
    }

    /// Gets ready for a tip that another reconciler deploys: compiles it, and watches its kinds.
    pub(crate) async fn stand_by(&mut self, tip: &CommitId) {
        let (compile, origin, id) = (self.compile.clone(), self.origin.clone(), tip.clone());
        let compiled = blocking(move || compile.commit(origin.repository(), &id)).await;
        let leader = match self.lead.leader() {
            leader if leader.is_empty() => "nobody leads yet".to_owned(),
            leader => format!("`{leader}` leads"),
        };
        self.judge(tip, format!("this reconciler stands by: {leader}"));
        let Ok(compiled) = compiled else { return };
        // As every object is that we apply.
        let ours = json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGER}}});
        let mut seen = BTreeSet::new();
        for app in &compiled.apps {
            let site = self.sites.own(app.cluster.as_deref());
            for compiled in app.objects() {
                let text = |key: &str| compiled.object.get(key).and_then(Value::as_str);
                let (version, kind) = (text("apiVersion"), text("kind"));
                let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
                if !seen.insert((Arc::clone(&site.name), version.to_owned(), kind.to_owned())) {
                    continue;
                }
                let version = ApiVersion::parse(version);
                if let Ok(Some(resource)) = site.cluster.resource(&version, kind).await {
                    site.live.watch_for(&resource, &ours);
                }
            }
        }
    }
}
