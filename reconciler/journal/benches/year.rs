//! How large a year of deploys is: writes a part of one, and says what the whole would take.
//!
//! `cargo bench -p ordain-reconciler-journal --bench year [-- DEPLOYS]`. A thousand apps of four objects; each deploy is a
//! commit of its own that changes the image of one Deployment. One in a hundred fails and is rolled back by the next,
//! one in fifty drifts. Then it is read, as commands do.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use ordain_reconciler_journal::{
    AppRef, Counts, Digest, DriftedObject, Event, Intent, Journal, ObjectSet, ObjectWrite, Outcome,
    Query, Rollback, SignatureVerdict, verify,
};

/// Apps, objects of each, and deploys of each on a day.
const APPS: u64 = 1000;
const PER_DAY: u64 = 50;
const YEAR: u64 = APPS * PER_DAY * 365;

/// Deploys that are written when nothing else is said: two days.
const DEPLOYS: u64 = 2 * APPS * PER_DAY;

/// One deploy in so many fails; the next one of the app goes back.
const FAILS: u64 = 100;

/// One deploy in so many drifts once.
const DRIFTS: u64 = 50;

/// Deploys whose records become durable together: what a commit to many apps comes to. It says nothing of the size: sealed
/// segments keep no signature of a batch. With few at once, this program waits for the disk and for nothing else.
const AT_ONCE: u64 = 500;

fn fails(number: u64) -> bool {
    number % FAILS == 99
}

/// Digits that no compressor can guess.
fn noise(seed: u64, what: &str) -> String {
    Digest::of(format!("{what} {seed}").as_bytes()).to_string()
}

fn objects(app: u64, image: &str) -> ObjectSet {
    let name = format!("service-{app:04}");
    let meta = |more: &str| {
        format!(
            r#"{{"annotations":{{"ordain.dev/app":"prod/{name}"}},"labels":{{"app.kubernetes.io/managed-by":"ordain","app.kubernetes.io/name":"{name}","team":"team-{}"}},"name":"{name}"{more},"namespace":"{name}"}}"#,
            app % 37
        )
    };
    let metadata = meta("");
    let deployment = format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{metadata},"spec":{{"replicas":{},"selector":{{"matchLabels":{{"app":"{name}"}}}},"strategy":{{"rollingUpdate":{{"maxSurge":1,"maxUnavailable":0}},"type":"RollingUpdate"}},"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"containers":[{{"env":[{{"name":"LOG_LEVEL","value":"info"}},{{"name":"DATABASE_URL","value":"postgres://db.{name}/main"}}],"image":"registry.example.com/{name}:{image}","livenessProbe":{{"httpGet":{{"path":"/healthz","port":8080}}}},"name":"main","ports":[{{"containerPort":8080,"protocol":"TCP"}}],"readinessProbe":{{"httpGet":{{"path":"/readyz","port":8080}}}},"resources":{{"limits":{{"memory":"256Mi"}},"requests":{{"cpu":"{}m","memory":"256Mi"}}}}}}],"serviceAccountName":"{name}"}}}}}}}}"#,
        1 + app % 5,
        100 + app % 7 * 50
    );
    let service = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{metadata},"spec":{{"ports":[{{"port":80,"protocol":"TCP","targetPort":8080}}],"selector":{{"app":"{name}"}}}}}}"#
    );
    let account = format!(r#"{{"apiVersion":"v1","kind":"ServiceAccount","metadata":{metadata}}}"#);
    let ingress = format!(
        r#"{{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{metadata},"spec":{{"rules":[{{"host":"{name}.example.com","http":{{"paths":[{{"backend":{{"service":{{"name":"{name}","port":{{"number":80}}}}}},"path":"/","pathType":"Prefix"}}]}}}}]}}}}"#
    );
    ObjectSet::new([deployment, ingress, service, account])
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            meta if meta.is_dir() => size(&entry.path())?,
            meta => meta.len(),
        };
    }
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo says `--bench` besides.
    let number = std::env::args().skip(1).find_map(|text| text.parse().ok());
    let deploys = number.unwrap_or(DEPLOYS);
    let dir = tempfile::tempdir()?;
    let (journal, _) = Journal::open(dir.path())?;
    let begun = Instant::now();
    let mut number = 0;
    while number < deploys {
        let until = (number + AT_ONCE).min(deploys);
        let time = 1_750_000_000_000 + (number * 86_400_000 / (APPS * PER_DAY)) as i64;
        let app = |number: u64| number.wrapping_mul(7919) % APPS;
        let name = |number: u64| AppRef {
            env: "prod".to_owned(),
            name: format!("service-{:04}", app(number)),
        };
        let mut batch = journal.batch()?;
        let mut ids = Vec::new();
        for number in number..until {
            // A rollback brings back what was there before the deploy that failed.
            let undone = number.checked_sub(APPS).filter(|before| fails(*before));
            let image = match undone.and_then(|undone| undone.checked_sub(APPS)) {
                Some(earlier) => noise(earlier, "image"),
                None => noise(number, "image"),
            };
            let set = batch.put_set(&objects(app(number), &image[..12]));
            let inventory = batch.put(format!("[inventory of {}]", name(number)).as_bytes());
            let intent = Intent {
                app: name(number),
                commit: noise(number, "commit")[..40].to_owned(),
                author: format!("Developer {} <dev{}@example.com>", number % 61, number % 61),
                subject: format!(
                    "service-{:04}: release {}",
                    app(number),
                    &noise(number, "image")[..12]
                ),
                set,
                inventory,
                plan: noise(number, "plan"),
                counts: Counts {
                    update: 1,
                    unchanged: 3,
                    ..Counts::default()
                },
                rollback: undone.map(|undone| Rollback {
                    of: noise(undone, "commit")[..40].to_owned(),
                    to: noise(undone.saturating_sub(APPS), "commit")[..40].to_owned(),
                }),
                actor: Some("local user deployer (uid 1000)".to_owned()),
                signature: Some(SignatureVerdict {
                    verdict: "unsigned".to_owned(),
                    signer: None,
                    method: None,
                }),
                compiler: "ordain 0.1.0".to_owned(),
                inputs: format!("git-tree:{}", &noise(number, "tree")[..40]),
                ..Intent::default()
            };
            ids.push((
                number,
                batch.append(time, Event::Intent(Box::new(intent))).seq,
            ));
        }
        batch.commit()?;
        for (delay, outcome) in [(900, Outcome::Applied), (9000, Outcome::Healthy)] {
            let mut batch = journal.batch()?;
            for (number, deploy) in &ids {
                let outcome = match outcome {
                    Outcome::Healthy if fails(*number) => Outcome::Failed {
                        reasons: vec![format!(
                            "Deployment {0}/{0}: container main of pod {0}-{1} restarts: exit code 1",
                            name(*number).name,
                            &noise(*number, "pod")[..10]
                        )],
                    },
                    _ => outcome.clone(),
                };
                if outcome == Outcome::Healthy && number % DRIFTS == 0 {
                    let object = format!("apps/Deployment {0}/{0}", name(*number).name);
                    let drift = Event::Drift {
                        app: name(*number),
                        objects: vec![format!("{object}: spec.replicas")],
                        changes: vec![DriftedObject {
                            object,
                            fields: vec!["spec.replicas".to_owned()],
                            managers: vec!["kubectl-scale".to_owned()],
                        }],
                    };
                    batch.append(time + delay, drift);
                }
                let writes = match outcome {
                    Outcome::Applied => vec![ObjectWrite {
                        object: format!("apps/Deployment {0}/{0}", name(*number).name),
                        verb: "update".to_owned(),
                        uid: format!("{}-0000", &noise(app(*number), "uid")[..31]),
                        before: Some((1_000_000 + number * 13).to_string()),
                        after: Some((1_000_007 + number * 13).to_string()),
                    }],
                    _ => Vec::new(),
                };
                batch.append(
                    time + delay,
                    Event::Outcome {
                        deploy: *deploy,
                        app: name(*number),
                        outcome,
                        inventory: None,
                        writes,
                    },
                );
            }
            batch.commit()?;
        }
        number = until;
    }
    let wrote = begun.elapsed();
    journal.seal()?;
    drop(journal);
    let (log, packs) = (
        size(&dir.path().join("segments"))?,
        size(&dir.path().join("packs"))?,
    );
    let begun = Instant::now();
    let (journal, _) = Journal::open(dir.path())?;
    let opened = begun.elapsed();
    let one = AppRef {
        env: "prod".to_owned(),
        name: "service-0042".to_owned(),
    };
    let begun = Instant::now();
    let last = Query {
        app: Some(one.name.clone()),
        limit: Some(20),
        ..Query::default()
    };
    let found = journal.records(&last)?.len();
    let last = begun.elapsed();
    let begun = Instant::now();
    let none = Query {
        app: Some("nobody".to_owned()),
        ..Query::default()
    };
    let nothing = journal.records(&none)?.len();
    let none = begun.elapsed();
    let begun = Instant::now();
    let middle = 1_750_000_000_000 + (deploys * 43_200_000 / (APPS * PER_DAY)) as i64;
    let standing = journal.deploys_at(middle)?.len();
    let at = begun.elapsed();
    writeln!(
        io::stdout(),
        "the last {found} records of an app in {last:.1?}, {nothing} of an app that is not there in {none:.1?}, \
         {standing} deploys that stood at a time in {at:.1?}"
    )?;
    drop(journal);
    let begun = Instant::now();
    verify(dir.path(), |_, _| {})?;
    let verified = begun.elapsed();
    let each = (log + packs) as f64 / deploys as f64;
    let gigabytes = each * YEAR as f64 / 1e9;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{deploys} deploys of {APPS} apps written in {wrote:.1?}; opened in {opened:.1?}, verified in {verified:.1?}"
    )?;
    writeln!(
        out,
        "log {:.1} MB, objects {:.1} MB: {each:.0} bytes a deploy",
        log as f64 / 1e6,
        packs as f64 / 1e6
    )?;
    writeln!(
        out,
        "a year of {APPS} apps with {PER_DAY} deploys each on every day ({YEAR} deploys): {gigabytes:.2} GB"
    )?;
    writeln!(
        out,
        "a year of {PER_DAY} commits a day that each change one app: {:.1} MB",
        each * (PER_DAY * 365) as f64 / 1e6
    )?;
    Ok(())
}
