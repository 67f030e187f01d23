//! How commands call the internal address of a running gateway.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;
use super::arguments::Target;
use crate::admin::Token;
use crate::admin::token;
use crate::config::limits::INTERNAL_ANSWER_BYTES_MAX;

/// The gateway answers in milliseconds, or something is wrong.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A gateway's internal address and the token for it.
#[derive(Debug)]
pub(super) struct Gateway {
    base: String,
    is_https: bool,
    token: Token,
}

/// A request to be sent.
#[derive(Debug)]
pub(super) struct Ask {
    method: Method,
    path: String,
    content_type: &'static str,
    if_match: Option<String>,
    body: Bytes,
}

impl Ask {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Ask {
        Ask { method, path: path.into(), content_type: "application/json", if_match: None, body: Bytes::new() }
    }

    pub(super) fn json(mut self, body: &Value) -> Ask {
        self.body = body.to_string().into();
        self
    }

    pub(super) fn csv(mut self, body: String) -> Ask {
        (self.content_type, self.body) = ("text/csv", body.into());
        self
    }

    /// Only if it is still as it was read.
    pub(super) fn if_match(mut self, etag: Option<String>) -> Ask {
        self.if_match = etag;
        self
    }
}

/// A success.
#[derive(Debug)]
pub(super) struct Answer {
    /// The revision, to be sent back with a change.
    pub(super) etag: Option<String>,
    body: Bytes,
}

impl Answer {
    /// The body as a value of this program's version.
    pub(super) fn read<T: DeserializeOwned>(&self, gateway: &Gateway) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Failed(format!("{} does not answer as this version expects: {error}", gateway.base)))
    }
}

/// A name as a part of a path.
pub(super) fn part(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A path with a query of those parameters that are given.
pub(super) fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| value.as_deref().map(|value| format!("{name}={}", part(value))));
    let query: Vec<String> = given.collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

impl Gateway {
    /// The gateway meant; the configuration is read only for what the arguments leave out.
    pub(super) fn of(target: &Target) -> Result<Gateway, Failure> {
        let configured = match (&target.url, &target.token_file) {
            (Some(_), Some(_)) => None,
            _ => Some(super::load(&target.config)?.internal),
        };
        let url = match (&target.url, &configured) {
            (Some(url), _) => url.clone(),
            (None, Some(internal)) if internal.address.ip().is_loopback() => {
                format!("http://{}", internal.address).parse().map_err(|_| Failure::Usage("internal.address is no address".into()))?
            }
            (None, _) => {
                return Err(Failure::Usage(
                    "internal.address is not loopback: say --url https://NAME:PORT, with a name that is in the certificate".into(),
                ));
            }
        };
        let (base, is_https) = base(&url)?;
        let file = target.token_file.as_ref().or(configured.as_ref().map(|internal| &internal.token_file));
        let file = file.ok_or_else(|| Failure::Usage("say --token-file".into()))?;
        let token = token::load(file).map_err(|error| Failure::Failed(error.to_string()))?;
        let token = token.ok_or_else(|| Failure::Failed(format!("there is no token file {}: pushgate serve makes it", file.display())))?;
        Ok(Gateway { base, is_https, token })
    }

    pub(super) async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(Ask::new(Method::GET, path)).await?.read(self)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.send(Ask::new(Method::POST, path).json(body)).await?.read(self)
    }

    /// Sends a request; anything but success is a failure that says what the gateway says.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        if self.is_https {
            let tls = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots();
            let tls = tls.map_err(|error| self.unreachable(&error.to_string()))?.https_only().enable_http1().build();
            self.exchange(tls, ask).await
        } else {
            self.exchange(HttpConnector::new(), ask).await
        }
    }

    async fn exchange<C>(&self, connector: C, ask: Ask) -> Result<Answer, Failure>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let Ask { method, path, content_type, if_match, body } = ask;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.reveal()))
            .header(header::CONTENT_TYPE, content_type);
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|error| Failure::Usage(format!("{}{path} cannot be asked for: {error}", self.base)))?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let answered = async {
            let response = client.request(request).await.map_err(|error| self.unreachable(&cause(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, INTERNAL_ANSWER_BYTES_MAX).collect().await;
            Ok((head, body.map_err(|error| self.unreachable(&error.to_string()))?.to_bytes()))
        };
        let answered = tokio::time::timeout(ANSWER_TIME, answered).await;
        let (head, body) = answered.map_err(|_| self.unreachable("no answer in 10 seconds"))??;
        if head.status.is_success() {
            let etag = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            return Ok(Answer { etag, body });
        }
        Err(Failure::Failed(format!("{} says {}: {}", self.base, head.status, detail(&body))))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Failed(format!("cannot reach the gateway at {}: {why}", self.base))
    }
}

/// Scheme and authority; anything else in the address is a mistake. Plain HTTP only to this machine: it carries the token.
fn base(url: &Uri) -> Result<(String, bool), Failure> {
    let usage = |why: &str| Failure::Usage(format!("--url {url} {why}"));
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(usage("needs a scheme, a host and a port, such as http://127.0.0.1:9080"));
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || authority.as_str().contains('@') {
        return Err(usage("is more than scheme, host and port"));
    }
    let host = authority.host().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match scheme {
        "https" => Ok((format!("https://{authority}"), true)),
        "http" if is_local => Ok((format!("http://{authority}"), false)),
        "http" => Err(usage("would send the token unencrypted over a network: use https")),
        _ => Err(usage("is neither http nor https")),
    }
}

/// The innermost reason: the outer ones only say that a connection failed.
fn cause(error: &hyper_util::client::legacy::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

/// What a problem says; of anything else, nothing.
fn detail(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut text = problem["detail"].as_str().unwrap_or("no reason given").to_owned();
    for entry in problem["errors"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n  {}", entry["detail"].as_str().unwrap_or_default()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_sent_in_the_clear_to_this_machine_only() {
        let base = |text: &str| base(&text.parse().expect(text));
        for good in ["http://127.0.0.1:9080", "http://localhost:9080/", "http://[::1]:9080", "https://gate.example.org:9080"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in [
            "http://gate.example.org:9080",
            "http://192.0.2.1:9080",
            "http://localhost.example.org",
            "127.0.0.1:9080",
            "/x",
            "http://127.0.0.1/x",
            "ftp://127.0.0.1",
            "http://a@127.0.0.1",
        ] {
            assert!(matches!(base(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }
}
