//! The HTTP side: one request in, who asks and for what, one answer out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::body::Body;
use super::faults::Fault;
use super::record::Recorded;
use super::shared::{Shared, Who};
use super::{folders, ping, policy, small, sync};
use crate::logic::eas::{Command, Request as EasRequest};
use crate::logic::wbxml::{Elements, Limits, Step};

/// The largest body that is taken: a message with attachments.
const BODY_BYTES_MAX: usize = 64 << 20;
/// The path of the protocol.
const PATH: &str = "/Microsoft-Server-ActiveSync";
/// Commands a server of this kind says it knows; Provision is added unless the kind hides it.
const COMMANDS: &str = "Sync,SendMail,SmartForward,SmartReply,GetAttachment,FolderSync,FolderCreate,FolderDelete,FolderUpdate,\
                        MoveItems,GetItemEstimate,MeetingResponse,Search,Settings,Ping,ItemOperations";

/// What a command is answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    content_type: Option<&'static str>,
    body: Body,
}

impl Answer {
    pub(super) fn wbxml(body: Vec<u8>) -> Self {
        Answer { status: 200, content_type: Some("application/vnd.ms-sync.wbxml"), body: Body::whole(body) }
    }

    pub(super) fn xml(body: String) -> Self {
        Answer { status: 200, content_type: Some("text/xml; charset=utf-8"), body: Body::whole(body) }
    }

    pub(super) fn empty() -> Self {
        Answer::status(200)
    }

    pub(super) fn status(status: u16) -> Self {
        Answer { status, content_type: None, body: Body::whole(Vec::new()) }
    }

    pub(super) fn zeros(bytes: u64) -> Self {
        Answer { status: 200, content_type: Some("application/octet-stream"), body: Body::zeros(bytes) }
    }

    fn html(status: u16) -> Self {
        Answer { status, content_type: Some("text/html"), body: Body::whole(format!("<html><body>{status}</body></html>")) }
    }
}

/// Answers one HTTP request. An error closes the connection without an answer.
pub(super) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else { return Ok(respond(&shared, Answer::status(413))) };
    let body = body.to_bytes();
    shared.records.total.fetch_add(1, Ordering::Relaxed);
    shared.records.keep(|| recorded(&head, &body));
    let wanted = wanted(&head);
    let command = if let Wanted::Command(request) = &wanted { Some(request.command) } else { None };
    let fault = shared.faults.take(command);
    match fault {
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Status(status)) => return Ok(respond(&shared, Answer::html(status))),
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    let response = answer(&shared, &head, wanted, body).await;
    match fault {
        Some(Fault::CloseMidAnswer) => break_off(response),
        Some(Fault::LieAboutLength(more)) => Ok(lie_about_length(response, more)),
        _ => Ok(response),
    }
}

fn recorded(head: &Parts, body: &Bytes) -> Recorded {
    Recorded {
        at: Instant::now(),
        method: head.method.clone(),
        uri: head.uri.clone(),
        http_version: head.version,
        headers: head.headers.clone(),
        body: body.clone(),
    }
}

/// What a request is for.
enum Wanted {
    Options,
    Autodiscover,
    /// A file of a webmail beside it: so many bytes, for anybody.
    File(u64),
    Command(Box<EasRequest>),
    Refused(u16),
}

fn wanted(head: &Parts) -> Wanted {
    let path = head.uri.path();
    if path.eq_ignore_ascii_case("/autodiscover/autodiscover.xml") {
        return Wanted::Autodiscover;
    }
    if let Some(bytes) = path.strip_prefix("/webmail/").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes <= small::FILE_BYTES_MAX)
    {
        return Wanted::File(bytes);
    }
    if !path.trim_end_matches('/').eq_ignore_ascii_case(PATH) {
        return Wanted::Refused(404);
    }
    if head.method == Method::OPTIONS {
        return Wanted::Options;
    }
    if head.method != Method::POST {
        return Wanted::Refused(405);
    }
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    match EasRequest::parse(head.uri.query().unwrap_or(""), text("ms-asprotocolversion"), text("x-ms-policykey")) {
        Ok(request) => Wanted::Command(Box::new(request)),
        Err(crate::logic::eas::QueryError::UnknownCommand | crate::logic::eas::QueryError::UnknownCommandCode(_)) => Wanted::Refused(501),
        Err(_) => Wanted::Refused(400),
    }
}

async fn answer(shared: &Arc<Shared>, head: &Parts, wanted: Wanted, body: Bytes) -> Response<Body> {
    let _worker = match &wanted {
        Wanted::Refused(status) => return respond(shared, Answer::status(*status)),
        Wanted::File(bytes) => return respond(shared, Answer::zeros(*bytes)),
        // Short, but a worker must be there to do it.
        Wanted::Options | Wanted::Autodiscover => match shared.workers.take().await {
            Ok(permit) => Some(permit),
            Err(_) => return turned_away(shared),
        },
        // Takes one of its own: it keeps it when the device is gone.
        Wanted::Command(_) => None,
    };
    let user = match &wanted {
        Wanted::Options if !shared.options.options_asks_password => String::new(),
        _ => match user(shared, &head.headers) {
            Some(user) => user,
            None => return unauthorized(shared),
        },
    };
    match wanted {
        Wanted::Options => options(shared),
        Wanted::Autodiscover => {
            shared.records.autodiscovers.fetch_add(1, Ordering::Relaxed);
            let scheme = if shared.options.tls.is_some() { "https" } else { "http" };
            let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            respond(shared, small::autodiscover(&user, &format!("{scheme}://{host}{PATH}")))
        }
        Wanted::Refused(status) => respond(shared, Answer::status(status)),
        Wanted::File(bytes) => respond(shared, Answer::zeros(bytes)),
        Wanted::Command(request) => {
            let answer = work(shared.clone(), user, *request, body).await;
            respond(shared, answer)
        }
    }
}

/// The user name, if the password is right.
fn user(shared: &Shared, headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    let credential = scheme.eq_ignore_ascii_case("Basic").then(|| BASE64.decode(credential.trim()).ok()).flatten()?;
    let credential = String::from_utf8(credential).ok()?;
    let (user, password) = credential.split_once(':')?;
    (!user.is_empty() && password == shared.options.password).then(|| user.to_owned())
}

fn turned_away(shared: &Shared) -> Response<Body> {
    shared.records.turned_away.fetch_add(1, Ordering::Relaxed);
    respond(shared, Answer::html(503))
}

fn unauthorized(shared: &Shared) -> Response<Body> {
    shared.records.unauthorized.fetch_add(1, Ordering::Relaxed);
    let mut response = respond(shared, Answer::html(401));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"stand-in\""));
    response
}

fn options(shared: &Shared) -> Response<Body> {
    shared.records.options.fetch_add(1, Ordering::Relaxed);
    let mut response = respond(shared, Answer::empty());
    put_options_headers(shared, response.headers_mut());
    let both = HeaderValue::from_static("OPTIONS,POST");
    response.headers_mut().insert(header::ALLOW, both.clone());
    response.headers_mut().insert("public", both);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    response
}

fn put_options_headers(shared: &Shared, headers: &mut HeaderMap) {
    let commands = if shared.manners.advertises_provision { format!("{COMMANDS},Provision") } else { COMMANDS.to_owned() };
    headers.insert("ms-asprotocolversions", HeaderValue::from_static(shared.manners.versions));
    headers.insert("ms-asprotocolcommands", HeaderValue::from_str(&commands).expect("command names are ASCII"));
    headers.insert("ms-server-activesync", HeaderValue::from_static(shared.manners.server_version));
}

/// Does a command on a worker. The work goes on when the device hangs up, as it does on the servers this stands for.
async fn work(shared: Arc<Shared>, user: String, request: EasRequest, body: Bytes) -> Answer {
    let who = Who { mailbox: shared.mailbox_name(&user), device: request.device_id.to_string(), version: request.version };
    let command = if shared.manners.root_wins { root_command(&body).unwrap_or(request.command) } else { request.command };
    shared.records.count(&who.mailbox, command);
    if !shared.manners.holds_worker && matches!(command, Command::Ping | Command::Sync) {
        return dispatch(&shared, &who, command, &request, &body).await;
    }
    let worker = async move {
        match shared.workers.take().await {
            Err(_) => {
                shared.records.turned_away.fetch_add(1, Ordering::Relaxed);
                Answer::html(503)
            }
            Ok(permit) => {
                let answer = dispatch(&shared, &who, command, &request, &body).await;
                drop(permit);
                answer
            }
        }
    };
    tokio::spawn(worker).await.unwrap_or_else(|_| Answer::html(500))
}

async fn dispatch(shared: &Shared, who: &Who, command: Command, request: &EasRequest, body: &[u8]) -> Answer {
    if let Some(demand) = policy::demand(shared, who, command, request.policy_key) {
        return demand;
    }
    match command {
        Command::Ping => ping::answer(shared, who, body).await,
        Command::Sync => sync::answer(shared, who, body).await,
        Command::FolderSync => folders::sync(shared, who, body),
        Command::FolderCreate | Command::FolderUpdate | Command::FolderDelete => folders::edit(shared, who, command, body),
        Command::Settings => small::settings(body),
        Command::Provision if shared.options.wants_policy => policy::provision(shared, who, body),
        Command::Provision => small::provision(body),
        Command::GetItemEstimate => small::estimate(shared, who, body),
        Command::SendMail | Command::SmartForward | Command::SmartReply => small::send_mail(who, command, body),
        Command::GetAttachment => small::attachment(request.parameters.attachment_name.as_deref()),
        other => small::unsupported(who, other),
    }
}

/// The command that the body's root element names.
fn root_command(mut body: &[u8]) -> Option<Command> {
    match Elements::new(Limits::LENIENT).next(&mut body) {
        Ok(Some(Step::Open([root]))) => Command::from_root(*root),
        _ => None,
    }
}

fn respond(shared: &Shared, answer: Answer) -> Response<Body> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = answer.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if shared.manners.headers_everywhere {
        put_options_headers(shared, response.headers_mut());
    }
    if answer.status == 200 {
        // Every real server says what it is, on an empty answer too.
        response.headers_mut().insert("ms-server-activesync", HeaderValue::from_static(shared.manners.server_version));
    }
    response
}

fn break_off(response: Response<Body>) -> io::Result<Response<Body>> {
    let (mut head, body) = response.into_parts();
    let length = body.length();
    if length == 0 {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    head.headers.insert(header::CONTENT_LENGTH, length.into());
    Ok(Response::from_parts(head, body.cut(length / 2)))
}

fn lie_about_length(response: Response<Body>, more: u64) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let length = body.length();
    head.headers.insert(header::CONTENT_LENGTH, (length + more).into());
    Response::from_parts(head, body.cut(length))
}
