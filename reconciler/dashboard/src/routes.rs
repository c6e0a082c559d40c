//! Which request gets which answer. Everything is read; a request that would change something does not exist.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use ordain_reconciler_engine::Lookup;
use ordain_reconciler_engine::control::{
    JournalAnswer, JournalAsk, Request as Question, Response as Answer,
};
use ordain_reconciler_journal::{Query, sentence};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    assets::{self, CLOSED, PAGE},
    door::Door,
    now::Now,
    views::{Filter, overview, state},
};

/// Records of one page of the log.
const RECORDS: usize = 100;

/// Deploys of an app that are shown.
const DEPLOYS: usize = 50;

/// How often a line without meaning keeps a quiet stream open.
const BEAT: Duration = Duration::from_secs(15);

/// Nothing but what comes from here is loaded or run, whatever a commit message tries.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What answers are made from.
pub(crate) struct Rooms {
    pub(crate) door: Door,
    pub(crate) now: Now,
    /// What commands need to reach the same reconciler.
    pub(crate) arguments: Vec<String>,
    pub(crate) shutdown: CancellationToken,
}

type Lines = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;
pub(crate) type Body = Either<Full<Bytes>, StreamBody<Lines>>;

/// An answer that is none, and what to say.
struct Refusal(StatusCode, String);

/// What stands behind the question mark.
struct Asked(HashMap<String, String>);

impl Asked {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn need(&self, name: &str) -> Result<String, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, format!("`{name}` is missing")))
    }
}

/// Answers a request.
pub(crate) async fn answer<B>(rooms: Arc<Rooms>, request: Request<B>) -> Response<Body> {
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => read(&rooms, &request).await,
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "the dashboard only reads\n"),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn read<B>(rooms: &Arc<Rooms>, request: &Request<B>) -> Response<Body> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
    if path == PAGE.path && rooms.door.is_opened_by(query) {
        // The key is not to stay in the address, which people copy.
        let mut response = text(StatusCode::SEE_OTHER, "");
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, HeaderValue::from_static("/"));
        if let Ok(cookie) = rooms.door.set_cookie().parse() {
            headers.insert(header::SET_COOKIE, cookie);
        }
        return response;
    }
    if let Some(asset) = assets::find(path) {
        return full(StatusCode::OK, asset.kind, asset.text.into());
    }
    if !rooms.door.knows(request.headers()) {
        return match path {
            "/" => full(StatusCode::UNAUTHORIZED, PAGE.kind, CLOSED.into()),
            _ => failed(&Refusal(
                StatusCode::UNAUTHORIZED,
                "open the address that `ordain` printed; it has the key".to_owned(),
            )),
        };
    }
    let asked = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let asked = Asked(asked);
    let made = match path {
        "/" => return full(StatusCode::OK, PAGE.kind, PAGE.text.into()),
        "/api/events" => return events(rooms),
        "/api/overview" => all(rooms, &asked).await,
        "/api/app" => app(rooms, &asked).await,
        "/api/plan" => plan(rooms, &asked).await,
        "/api/object" => object(rooms, &asked).await,
        "/api/blame" => blame(rooms, &asked).await,
        "/api/log" => log(rooms, &asked).await,
        _ => Err(Refusal(
            StatusCode::NOT_FOUND,
            "there is no such page".to_owned(),
        )),
    };
    match made {
        Ok(value) => as_json(StatusCode::OK, &value),
        Err(refusal) => failed(&refusal),
    }
}

/// What the reconciler refuses, or that it is not there.
fn from_far(message: String) -> Refusal {
    Refusal(StatusCode::BAD_GATEWAY, message)
}

fn value(of: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(of)
        .map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn all(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let seen = rooms.now.seen().await;
    let status = seen.status.map_err(from_far)?;
    let words = asked.get("q").unwrap_or_default().to_lowercase();
    let filter = Filter {
        words: words.split_whitespace().map(str::to_owned).collect(),
        state: asked.get("state"),
    };
    let mut all = value(&overview(seen.number, &status, &filter))?;
    all["arguments"] = json!(rooms.arguments);
    Ok(all)
}

async fn app(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let (env, name) = (asked.need("env")?, asked.need("app")?);
    let seen = rooms.now.seen().await;
    let status = seen.status.map_err(from_far)?;
    let mut apps = status.apps.iter();
    let Some(app) = apps.find(|app| app.env == env && app.name == name) else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no app {env}/{name}"),
        ));
    };
    let is_held = |hold: &&ordain_reconciler_engine::Hold| {
        (hold.app.is_empty() || hold.app == name) && (hold.env.is_empty() || hold.env == env)
    };
    let holds: Vec<_> = status.holds.iter().filter(is_held).collect();
    let question = Question::History {
        app: name.clone(),
        env: Some(env.clone()),
        limit: Some(DEPLOYS),
    };
    let deploys = rooms.now.ask(question).await.map_err(from_far)?;
    let mut deploys = deploys
        .into_iter()
        .find_map(|answer| match answer {
            Answer::History { deploys } => Some(deploys),
            _ => None,
        })
        .unwrap_or_default();
    deploys.reverse();
    let why = match state(app) {
        "synced" => None,
        _ => {
            let question = Question::Why {
                app: name,
                env: Some(env),
                object: None,
            };
            // The page is useful without it.
            let answers = rooms.now.ask(question).await.unwrap_or_default();
            answers.into_iter().find_map(|answer| match answer {
                Answer::Why { tree } => Some(tree),
                _ => None,
            })
        }
    };
    let mut page =
        json!({ "number": seen.number, "state": state(app), "arguments": rooms.arguments });
    page["app"] = value(app)?;
    page["holds"] = value(&holds)?;
    page["deploys"] = value(&deploys)?;
    page["why"] = value(&why)?;
    Ok(page)
}

async fn plan(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let question = Question::Plan {
        app: Some(asked.need("app")?),
        env: Some(asked.need("env")?),
    };
    let answers = rooms.now.ask(question).await.map_err(from_far)?;
    let plans = answers.into_iter().find_map(|answer| match answer {
        Answer::Plans { plans } => Some(plans),
        _ => None,
    });
    let plan = plans
        .into_iter()
        .flatten()
        .next()
        .map(|preview| preview.plan);
    Ok(json!({ "plan": value(&plan)? }))
}

fn lookup(asked: &Asked) -> Result<Lookup, Refusal> {
    let (kind, name) = (asked.need("kind")?, asked.need("name")?);
    Ok(Lookup {
        // Everything that was deployed was deployed before that.
        at_ms: i64::MAX,
        kind: Some(kind),
        name: Some(name),
        namespace: asked.get("namespace"),
        app: Some(asked.need("app")?),
        env: Some(asked.need("env")?),
    })
}

async fn journal<T>(
    rooms: &Rooms,
    question: JournalAsk,
    pick: impl Fn(JournalAnswer) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let answers = rooms.now.ask(Question::Journal { question }).await;
    let answers = answers.map_err(from_far)?.into_iter();
    let mut picked = answers.filter_map(|answer| match answer {
        Answer::Journal { answer } => pick(answer),
        _ => None,
    });
    Ok(picked.next())
}

fn not_deployed() -> Refusal {
    Refusal(
        StatusCode::NOT_FOUND,
        "no such object is deployed".to_owned(),
    )
}

async fn object(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let lookup = lookup(asked)?;
    let found = journal(
        rooms,
        JournalAsk::Objects { lookup },
        |answer| match answer {
            JournalAnswer::Object { found } => Some(found),
            _ => None,
        },
    );
    let found = found.await?.ok_or_else(not_deployed)?;
    Ok(json!({ "found": value(&found)?, "arguments": rooms.arguments }))
}

async fn blame(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let (lookup, field) = (lookup(asked)?, asked.need("field")?);
    let blame = journal(
        rooms,
        JournalAsk::Blame { lookup, field },
        |answer| match answer {
            JournalAnswer::Blame { blame } => Some(blame),
            _ => None,
        },
    );
    let blame = blame.await?.ok_or_else(not_deployed)?;
    match blame["misnamed"].as_str() {
        Some(why) => Err(Refusal(StatusCode::NOT_FOUND, why.to_owned())),
        None => Ok(blame),
    }
}

async fn log(rooms: &Rooms, asked: &Asked) -> Result<Value, Refusal> {
    let before_seq = match asked.get("before").map(|text| text.parse()) {
        Some(Err(_)) => {
            let message = "`before` is the number of a record".to_owned();
            return Err(Refusal(StatusCode::BAD_REQUEST, message));
        }
        Some(Ok(before)) => Some(before),
        None => None,
    };
    let query = Query {
        app: asked.get("app"),
        env: asked.get("env"),
        before_seq,
        limit: Some(RECORDS),
        ..Query::default()
    };
    let records = journal(
        rooms,
        JournalAsk::Records { query },
        |answer| match answer {
            JournalAnswer::Records { records } => Some(records),
            _ => None,
        },
    );
    let records = records.await?.unwrap_or_default();
    let rows: Vec<Value> = records
        .iter()
        .map(|record| {
            let app = record.event.app();
            json!({
                "seq": record.seq,
                "time_ms": record.time_ms,
                "env": app.map(|app| &app.env),
                "app": app.map(|app| &app.name),
                "what": sentence(&record.event),
            })
        })
        .collect();
    Ok(json!({ "records": rows, "is_all": rows.len() < RECORDS }))
}

/// Says when something else is known, for as long as somebody listens.
fn events(rooms: &Arc<Rooms>) -> Response<Body> {
    struct Told {
        rooms: Arc<Rooms>,
        number: u64,
        quiet: Duration,
    }
    let told = Told {
        rooms: Arc::clone(rooms),
        number: 0,
        quiet: Duration::ZERO,
    };
    let lines = stream::unfold(told, |mut told| async move {
        loop {
            let each = told.rooms.now.each;
            if told.number != 0 {
                tokio::select! {
                    () = told.rooms.shutdown.cancelled() => return None,
                    () = tokio::time::sleep(each) => told.quiet += each,
                }
            }
            let seen = told.rooms.now.seen().await;
            let line = if seen.number != told.number {
                told.number = seen.number;
                let source = seen.status.as_ref().ok().map(|status| &status.source);
                let told = json!({ "number": seen.number, "source": source });
                format!("data: {told}\n\n")
            } else if told.quiet >= BEAT {
                ":\n\n".to_owned()
            } else {
                continue;
            };
            told.quiet = Duration::ZERO;
            return Some((Ok(Frame::data(Bytes::from(line))), told));
        }
    });
    let mut response = Response::new(Either::Right(StreamBody::new(lines.boxed())));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn failed(Refusal(status, message): &Refusal) -> Response<Body> {
    as_json(*status, &json!({ "error": message }))
}

fn as_json(status: StatusCode, value: &Value) -> Response<Body> {
    full(status, "application/json", value.to_string().into())
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    full(status, "text/plain; charset=utf-8", text.into())
}

fn full(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
