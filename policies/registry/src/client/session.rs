//! The requests of one pull or push.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client as Http, Method, Request, Response, StatusCode, Url};
use rustls::crypto::CryptoProvider;
use serde::Deserialize;

use crate::artifact::{MANIFEST_TYPE, Part};
use crate::credentials::Credential;
use crate::digest::Digest;
use crate::error::{Error, plain};
use crate::reference::OciReference;

use super::{Options, Transport, auth};

const USER_AGENT: &str = concat!("kubectl-headscale/", env!("CARGO_PKG_VERSION"));
/// An index is asked for too, so that the registry shows it and we can say what it is.
const MANIFEST_TYPES: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
const DIGEST_HEADER: &str = "docker-content-digest";
const MAX_REDIRECTS: usize = 5;
/// How much of an answer is read that is only told to people, in bytes.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

/// What is done in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Pull,
    Push,
}

impl Action {
    /// The rights that a token needs.
    pub(super) const fn rights(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// Which connections may be made without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlainHttp {
    Never,
    OnThisMachine,
    Anywhere,
}

impl PlainHttp {
    fn allows(self, url: &Url) -> bool {
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Anywhere) => true,
            ("http", Self::OnThisMachine) => url.host_str().is_some_and(is_this_machine),
            _ => false,
        }
    }
}

/// Whether `host` is `localhost` or a loopback address.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What talks to one repository.
pub(super) struct Session<'o> {
    pub(super) options: &'o Options,
    pub(super) reference: &'o OciReference,
    pub(super) http: Http,
    pub(super) credential: Credential,
    base: Url,
    plain_http: PlainHttp,
    authorization: Option<HeaderValue>,
}

impl<'o> Session<'o> {
    pub(super) async fn open(
        options: &'o Options,
        reference: &'o OciReference,
    ) -> Result<Self, Error> {
        let registry = reference.registry();
        // Docker's own registry answers under another name.
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let tls = Url::parse(&format!("https://{host}/v2/{}/", reference.repository()));
        let tls = tls.map_err(|error| invalid(reference, format!("no URL: {error}")))?;
        let local = tls.host_str().is_some_and(is_this_machine);
        let plain_http = match options.transport {
            Transport::Plain => PlainHttp::Anywhere,
            Transport::Auto if local => PlainHttp::OnThisMachine,
            Transport::Auto | Transport::Tls => PlainHttp::Never,
        };
        let base = if plain_http == PlainHttp::Never {
            tls
        } else {
            let url = format!("http://{host}/v2/{}/", reference.repository());
            Url::parse(&url).map_err(|error| invalid(reference, format!("no URL: {error}")))?
        };
        let http = connect(options, plain_http, local)?;
        let credential = options.credentials.get(registry, options.timeout).await?;
        Ok(Self { options, reference, http, credential, base, plain_http, authorization: None })
    }

    /// The manifest that the reference means, of `limit` bytes at most, with the digest that the
    /// registry claims it to have.
    pub(super) async fn manifest(
        &mut self,
        limit: u64,
    ) -> Result<(Vec<u8>, Option<Digest>), Error> {
        let url = self.url(&format!("manifests/{}", self.tag_or_digest(true)))?;
        let (headers, manifest) = self.get(&url, MANIFEST_TYPES, Part::Manifest, limit).await?;
        Ok((manifest, claimed_digest(&headers)))
    }

    /// The blob with this digest and size. The digest is not verified here.
    pub(super) async fn blob(
        &mut self,
        part: Part,
        digest: &Digest,
        size: u64,
    ) -> Result<Vec<u8>, Error> {
        let url = self.url(&format!("blobs/{digest}"))?;
        Ok(self.get(&url, "*/*", part, size).await?.1)
    }

    /// Uploads a blob if the registry does not have it.
    pub(super) async fn upload(&mut self, digest: &Digest, content: &[u8]) -> Result<(), Error> {
        let url = self.url(&format!("blobs/{digest}"))?;
        if self.is_there(&url).await? {
            return Ok(());
        }
        let mut begin = Request::new(Method::POST, self.url("blobs/uploads/")?);
        *begin.body_mut() = Some(Vec::new().into());
        let begun = self.send(Action::Push, &begin).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(self.refused(begun).await);
        }
        let location = begun.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let mut target = location
            .and_then(|location| begun.url().join(location).ok())
            .ok_or_else(|| self.invalid("the registry does not say where to upload to"))?;
        target.query_pairs_mut().append_pair("digest", digest.as_str());
        let mut upload = Request::new(Method::PUT, target);
        // Blobs have no type but in the manifest.
        upload
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        *upload.body_mut() = Some(content.to_vec().into());
        self.created(&upload).await.map(|_| ())
    }

    /// Whether there is something at `url`. Asks again where the registry is not available.
    async fn is_there(&mut self, url: &Url) -> Result<bool, Error> {
        let mut pauses = pauses(self.options);
        loop {
            let head = Request::new(Method::HEAD, url.clone());
            let error = match self.send(Action::Push, &head).await {
                Ok(answer) if answer.status().is_success() => return Ok(true),
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Ok(false),
                Ok(answer) => self.refused(answer).await,
                Err(error) => error,
            };
            match pauses.next().filter(|_| matches!(error, Error::Unavailable { .. })) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Puts a manifest under the tag of the reference, or under its digest.
    pub(super) async fn put_manifest(
        &mut self,
        digest: &Digest,
        content: &[u8],
    ) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{}", self.tag_or_digest(false)))?;
        let mut put = Request::new(Method::PUT, url);
        put.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MANIFEST_TYPE));
        *put.body_mut() = Some(content.to_vec().into());
        match self.created(&put).await? {
            Some(claimed) if claimed != *digest => Err(Error::Integrity {
                reference: Box::new(self.reference.clone()),
                part: Part::Manifest,
                expected: digest.clone(),
                actual: claimed,
            }),
            _ => Ok(()),
        }
    }

    /// Sends what creates something; returns the digest that the registry claims it to have.
    async fn created(&mut self, request: &Request) -> Result<Option<Digest>, Error> {
        let created = self.send(Action::Push, request).await?;
        if created.status() != StatusCode::CREATED {
            return Err(self.refused(created).await);
        }
        Ok(claimed_digest(created.headers()))
    }

    fn tag_or_digest(&self, prefer_digest: bool) -> &str {
        let digest = self.reference.digest().map(Digest::as_str);
        let found = match self.reference.tag() {
            Some(_) if prefer_digest && digest.is_some() => digest,
            Some(tag) => Some(tag),
            None => digest,
        };
        found.unwrap_or_default()
    }

    /// A URL in the repository.
    fn url(&self, path: &str) -> Result<Url, Error> {
        // Joining would take the colon of a digest for the end of a scheme.
        Url::parse(&format!("{}{path}", self.base))
            .map_err(|error| self.invalid(format!("no URL: {error}")))
    }

    /// What is at `url`, of `limit` bytes at most. Asks again where the registry is not available.
    async fn get(
        &mut self,
        url: &Url,
        accept: &'static str,
        part: Part,
        limit: u64,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let mut pauses = pauses(self.options);
        loop {
            match self.get_once(url, accept, part, limit).await {
                Err(error @ Error::Unavailable { .. }) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                done => return done,
            }
        }
    }

    async fn get_once(
        &mut self,
        url: &Url,
        accept: &'static str,
        part: Part,
        limit: u64,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(reqwest::header::ACCEPT, HeaderValue::from_static(accept));
        let response = self.send(Action::Pull, &request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let headers = response.headers().clone();
        match read(response, limit).await {
            Ok(Some(body)) => Ok((headers, body)),
            Ok(None) => {
                Err(Error::TooLarge { reference: Box::new(self.reference.clone()), part, limit })
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Sends a request, with the credentials that the registry asks for. Any answer but those that
    /// ask for credentials is given back.
    async fn send(&mut self, action: Action, request: &Request) -> Result<Response, Error> {
        let response = self.send_once(request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // A token may have ended, or lack a right.
        self.authorization = None;
        let authorization = auth::answer(self, action, response.headers()).await?;
        self.authorization = Some(authorization);
        self.send_once(request).await
    }

    async fn send_once(&self, request: &Request) -> Result<Response, Error> {
        self.check(request.url())?;
        let Some(mut request) = request.try_clone() else {
            return Err(self.invalid("a request cannot be sent twice"));
        };
        if let Some(authorization) = &self.authorization
            && request.url().origin() == self.base.origin()
        {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        self.http.execute(request).await.map_err(|error| self.failed(&error))
    }

    /// Whether a connection to `url` may be made.
    pub(super) fn check(&self, url: &Url) -> Result<(), Error> {
        if self.plain_http.allows(url) {
            return Ok(());
        }
        Err(self.invalid(format!("the registry sends us on to {}", no_tls(url))))
    }

    pub(super) fn invalid(&self, detail: impl AsRef<str>) -> Error {
        invalid(self.reference, detail)
    }

    pub(super) fn unauthorized(&self, detail: &str) -> Error {
        Error::Unauthorized {
            registry: self.reference.registry().to_owned(),
            reference: Box::new(self.reference.clone()),
            detail: plain(detail),
        }
    }

    pub(super) fn unavailable(&self, detail: &str) -> Error {
        Error::Unavailable { registry: self.reference.registry().to_owned(), detail: plain(detail) }
    }

    /// What a request that had no answer failed from.
    pub(super) fn failed(&self, error: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        if error.is_redirect() {
            return self.invalid(cause.to_string());
        }
        if error.is_timeout() {
            return self.unavailable("no answer in time");
        }
        self.unavailable(&cause.to_string())
    }

    /// What an answer means that is no success.
    pub(super) async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let said = match read(response, MAX_MESSAGE_BYTES).await {
            Ok(Some(body)) => said(&body),
            _ => None,
        };
        let told = said.map_or_else(|| status.to_string(), |said| format!("{status}: {said}"));
        match status {
            StatusCode::NOT_FOUND => {
                Error::NotFound { reference: Box::new(self.reference.clone()) }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.unauthorized(&told),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => self.unavailable(&told),
            status if status.is_server_error() => self.unavailable(&told),
            _ => self.invalid(format!("the registry answers {}", plain(&told))),
        }
    }
}

/// The pauses between attempts.
fn pauses(options: &Options) -> impl Iterator<Item = Duration> + use<> {
    let pauses = std::iter::successors(Some(options.pause), |pause| pause.checked_mul(2));
    pauses.take(options.attempts.saturating_sub(1) as usize)
}

fn invalid(reference: &OciReference, detail: impl AsRef<str>) -> Error {
    Error::Invalid { reference: Box::new(reference.clone()), detail: plain(detail.as_ref()) }
}

fn no_tls(url: &Url) -> String {
    format!("{}://{}, which is not encrypted", url.scheme(), url.host_str().unwrap_or_default())
}

fn connect(options: &Options, plain_http: PlainHttp, local: bool) -> Result<Http, Error> {
    let setup = |error: reqwest::Error| Error::Setup(error.to_string());
    // The process has one provider of cryptography; another part of it may have chosen already.
    if CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let redirect = move |attempt: Attempt<'_>| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("the registry redirects again and again");
        }
        if plain_http.allows(attempt.url()) {
            return attempt.follow();
        }
        let target = no_tls(attempt.url());
        attempt.error(format!("the registry sends us on to {target}"))
    };
    let mut builder = Http::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.idle_timeout)
        .referer(false)
        .redirect(Policy::custom(redirect));
    if !options.certificates.is_empty() {
        let certificates = reqwest::Certificate::from_pem_bundle(&options.certificates);
        builder = builder.tls_certs_merge(certificates.map_err(setup)?);
    }
    if local {
        builder = builder.no_proxy();
    }
    builder.build().map_err(setup)
}

fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DIGEST_HEADER)?.to_str().ok()?.parse().ok()
}

/// The body of an answer; `None` where it is larger than `limit` bytes, of which no more is read.
pub(super) async fn read(
    mut response: Response,
    limit: u64,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The first error in a registry's own form.
fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<OneError>,
    }
    #[derive(Deserialize)]
    struct OneError {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    let text = if first.message.is_empty() { first.code } else { first.message };
    Some(plain(&text))
}
