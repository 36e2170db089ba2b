//! Users.

use http::Method;
use serde::Deserialize;

use crate::call::{Call, Exchange, encoded, segment};
use crate::error::Error;
use crate::model::{NewUser, User, UserFilter};
use crate::wire::or_default;

const PATH: &str = "/api/v1/user";

#[derive(Deserialize)]
struct One {
    user: User,
}

#[derive(Deserialize)]
struct List {
    #[serde(default, deserialize_with = "or_default")]
    users: Vec<User>,
}

pub(crate) async fn list(carrier: &impl Exchange, filter: &UserFilter) -> Result<Vec<User>, Error> {
    let operation = "list users";
    let path = match filter {
        UserFilter::All => PATH.to_owned(),
        UserFilter::Id(id) => format!("{PATH}?id={id}"),
        UserFilter::Name(name) => format!("{PATH}?name={}", encoded(name)),
        UserFilter::Email(email) => format!("{PATH}?email={}", encoded(email)),
    };
    let list: List = carrier.exchange(Call::list(operation, path)).await?.json(operation)?;
    Ok(list.users)
}

pub(crate) async fn create(carrier: &impl Exchange, user: &NewUser) -> Result<User, Error> {
    one(carrier, Call::new("create a user", Method::POST, PATH).json(user)?).await
}

pub(crate) async fn rename(carrier: &impl Exchange, id: u64, name: &str) -> Result<User, Error> {
    let operation = "rename a user";
    let path = format!("{PATH}/{id}/rename/{}", segment(operation, name)?);
    one(carrier, Call::new(operation, Method::POST, path)).await
}

pub(crate) async fn delete(carrier: &impl Exchange, id: u64) -> Result<(), Error> {
    let operation = "delete a user";
    let call = Call::new(operation, Method::DELETE, format!("{PATH}/{id}"));
    carrier.exchange(call).await?.success(operation)
}

async fn one(carrier: &impl Exchange, call: Call) -> Result<User, Error> {
    let operation = call.operation;
    let one: One = carrier.exchange(call).await?.json(operation)?;
    Ok(one.user)
}
