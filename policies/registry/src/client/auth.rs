//! Answers to registries that ask who we are.

use http_auth::{ChallengeRef, parse_challenges};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use crate::credentials::Credential;
use crate::error::Error;

use super::session::{Action, Session, read};

/// The largest answer with a token, in bytes.
const MAX_TOKEN_BYTES: u64 = 1 << 20;
const CLIENT_ID: &str = "kubectl-headscale";

/// What to send as `Authorization`, to a registry that answered 401 with `headers`.
pub(super) async fn answer(
    session: &Session<'_>,
    action: Action,
    headers: &HeaderMap,
) -> Result<HeaderValue, Error> {
    let asked: Vec<&str> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
    let asked: Vec<ChallengeRef<'_>> =
        asked.iter().filter_map(|text| parse_challenges(text).ok()).flatten().collect();
    let find = |scheme| asked.iter().find(|asks| asks.scheme.eq_ignore_ascii_case(scheme));
    if let Some(bearer) = find("Bearer") {
        let token = token(session, action, bearer).await?;
        return header(session, &format!("Bearer {token}"));
    }
    if find("Basic").is_some() {
        let Credential::Password { username, password } = &session.credential else {
            return Err(session.unauthorized("it asks for a user and a password"));
        };
        let request = session.http.get("http://localhost").basic_auth(username, Some(password));
        let request = request.build().map_err(|error| session.failed(&error))?;
        let value = request.headers().get(AUTHORIZATION).cloned();
        return value.ok_or_else(|| session.invalid("the password cannot be sent"));
    }
    Err(session.unauthorized(if asked.is_empty() {
        "it asks for credentials and does not say for which"
    } else {
        "it asks for credentials of a kind that is not known"
    }))
}

fn header(session: &Session<'_>, text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| session.invalid("the registry's token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a registry tells of where to have a token.
struct Challenge {
    realm: Url,
    service: Option<String>,
    scope: String,
}

impl Challenge {
    fn of(session: &Session<'_>, action: Action, asks: &ChallengeRef<'_>) -> Result<Self, Error> {
        let parameter = |name: &str| {
            let mut found = asks.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm")
            .and_then(|realm| Url::parse(&realm).ok())
            .ok_or_else(|| session.invalid("the registry does not say where to have a token"))?;
        session.check(&realm)?;
        // What the registry asks for when something is read may lack the right to write.
        let scope = parameter("scope").filter(|_| action == Action::Pull).unwrap_or_else(|| {
            let repository = session.reference.repository();
            format!("repository:{repository}:{}", action.rights())
        });
        Ok(Self { realm, service: parameter("service"), scope })
    }

    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let service = self.service.as_deref().map(|service| ("service", service));
        service.into_iter().chain([("scope", self.scope.as_str())]).collect()
    }
}

async fn token(
    session: &Session<'_>,
    action: Action,
    asks: &ChallengeRef<'_>,
) -> Result<String, Error> {
    let challenge = Challenge::of(session, action, asks)?;
    let response =
        request(session, &challenge).send().await.map_err(|error| session.failed(&error))?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(session.refused(response).await);
        }
        status => return Err(session.unauthorized(&format!("no token for us: {status}"))),
    }
    let body = read(response, MAX_TOKEN_BYTES).await.map_err(|error| session.failed(&error))?;
    let given: Given = body
        .and_then(|body| serde_json::from_slice(&body).ok())
        .ok_or_else(|| session.invalid("the registry's answer has no token"))?;
    let tokens = [given.token, given.access_token];
    let token = tokens.into_iter().flatten().find(|token| !token.is_empty());
    token.ok_or_else(|| session.invalid("the registry's answer has no token"))
}

/// What a registry gives for credentials.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
}

fn request(session: &Session<'_>, challenge: &Challenge) -> RequestBuilder {
    let realm = challenge.realm.clone();
    let parameters = challenge.parameters();
    match &session.credential {
        Credential::Anonymous => session.http.get(realm).query(&parameters),
        Credential::Password { username, password } => {
            session.http.get(realm).query(&parameters).basic_auth(username, Some(password))
        }
        Credential::IdentityToken(token) => {
            let mut form = parameters;
            form.extend([
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT_ID),
                ("refresh_token", token.as_str()),
            ]);
            session.http.post(realm).form(&form)
        }
    }
}
