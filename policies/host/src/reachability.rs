//! Answers to plugins: who reaches what.
//!
//! A question is work that the runtime does not meter, so it costs fuel by what it may take, fixed
//! by the sizes of policy and answer, so that the same input still takes the same fuel:
//!
//! | what | fuel |
//! | --- | --- |
//! | a question | 5,000, and 100 for each rule and 10 for each node |
//! | the first one of a call | and 20 for each byte of the policy, 2,000 for each node |
//! | each row, node or cause of the answer | 1,000 |
//! | a question that was asked before in the call | 500, and 100 for each row |

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use headscale_acl::engine::{
    self, Loaded, Network, Problem as Kind, QueryError, Question, RuleSection, Side,
};
use headscale_acl::tailnet::User;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::bindings::headscale::policy::reachability as wit;
use crate::context::{Context, charge};

/// Bytes of a name in a question.
const LONGEST_NAME: usize = 1_024;

/// Rows of an answer.
const MOST_ROWS: usize = 100_000;

/// Rows that are remembered for a call.
const REMEMBERED: usize = 200_000;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asked {
    CanReach(Connection),
    Explain(Connection),
    CanLogIn { source: String, destination: String, user: String },
    WhoCanReach(String, Option<u16>),
    ReachableFrom(String),
    Resolve(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Connection {
    source: String,
    destination: String,
    protocol: Option<String>,
    port: Option<u16>,
}

impl From<wit::Query> for Connection {
    fn from(query: wit::Query) -> Self {
        let wit::Query { source, destination, protocol, port } = query;
        Self { source, destination, protocol, port }
    }
}

impl Asked {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::CanReach(connection) | Self::Explain(connection) => {
                let protocol = connection.protocol.as_deref().unwrap_or_default();
                vec![&connection.source, &connection.destination, protocol]
            }
            Self::CanLogIn { source, destination, user } => vec![source, destination, user],
            Self::WhoCanReach(name, _) | Self::ReachableFrom(name) | Self::Resolve(name) => {
                vec![name]
            }
        }
    }
}

/// An answer.
#[derive(Clone)]
enum Answer {
    Extent(wit::Extent),
    Explanation(wit::Explanation),
    Access(Vec<wit::Access>),
    Resolved(wit::Resolved),
}

impl Answer {
    fn rows(&self) -> u64 {
        let rows = match self {
            Self::Extent(_) => 0,
            Self::Explanation(explanation) => explanation.causes.len(),
            Self::Access(rows) => rows.len(),
            Self::Resolved(resolved) => resolved.nodes.len() + resolved.others.len(),
        };
        rows as u64
    }
}

/// What was asked in a call, and answered.
#[derive(Default)]
pub(crate) struct Memo {
    answers: HashMap<Asked, Result<Answer, wit::Problem>>,
    rows: usize,
    /// Fuel of a question; none before the first one.
    price: Option<u64>,
}

/// Gives plugins `reachability`.
pub(crate) fn add_reachability(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("headscale:policy/reachability@0.1.0")?;
    type Store<'s> = StoreContextMut<'s, Context>;
    instance.func_wrap("is-symbolic", |mut store: Store<'_>, (): ()| {
        charge(&mut store, 100)?;
        let view = store.data().view.as_ref();
        Ok((view.is_some_and(|view| view.subject().tailnet().is_none()),))
    })?;
    instance.func_wrap("can-reach", |store: Store<'_>, (query,): (wit::Query,)| {
        let answer = ask(store, Asked::CanReach(query.into()))?;
        Ok((extent_of(answer),))
    })?;
    instance.func_wrap("explain", |store: Store<'_>, (query,): (wit::Query,)| {
        let answer = ask(store, Asked::Explain(query.into()))?;
        Ok((answer.and_then(|answer| match answer {
            Answer::Explanation(explanation) => Ok(explanation),
            _ => Err(mismatch()),
        }),))
    })?;
    instance.func_wrap(
        "can-log-in",
        |store: Store<'_>, (source, destination, user): (String, String, String)| {
            Ok((extent_of(ask(store, Asked::CanLogIn { source, destination, user })?),))
        },
    )?;
    instance.func_wrap(
        "who-can-reach",
        |store: Store<'_>, (destination, port): (String, Option<u16>)| {
            Ok((access_of(ask(store, Asked::WhoCanReach(destination, port))?),))
        },
    )?;
    instance.func_wrap("reachable-from", |store: Store<'_>, (source,): (String,)| {
        Ok((access_of(ask(store, Asked::ReachableFrom(source))?),))
    })?;
    instance.func_wrap("resolve", |store: Store<'_>, (name,): (String,)| {
        let answer = ask(store, Asked::Resolve(name))?;
        Ok((answer.and_then(|answer| match answer {
            Answer::Resolved(resolved) => Ok(resolved),
            _ => Err(mismatch()),
        }),))
    })
}

fn extent_of(answer: Result<Answer, wit::Problem>) -> Result<wit::Extent, wit::Problem> {
    answer.and_then(|answer| match answer {
        Answer::Extent(extent) => Ok(extent),
        _ => Err(mismatch()),
    })
}

fn access_of(answer: Result<Answer, wit::Problem>) -> Result<Vec<wit::Access>, wit::Problem> {
    answer.and_then(|answer| match answer {
        Answer::Access(rows) => Ok(rows),
        _ => Err(mismatch()),
    })
}

/// An answer to another kind of question, which none is.
fn mismatch() -> wit::Problem {
    invalid("the question was answered as another one")
}

fn invalid(message: &str) -> wit::Problem {
    wit::Problem::Invalid(message.to_owned())
}

fn ask(
    mut store: StoreContextMut<'_, Context>,
    asked: Asked,
) -> wasmtime::Result<Result<Answer, wit::Problem>> {
    if asked.names().iter().any(|name| name.len() > LONGEST_NAME) {
        charge(&mut store, 5_000)?;
        let message = format!("a name has more than {LONGEST_NAME} bytes");
        return Ok(Err(wit::Problem::Invalid(message)));
    }
    if let Some(answer) = store.data().memo.answers.get(&asked).cloned() {
        charge(&mut store, 500 + 100 * answer.as_ref().map_or(0, Answer::rows))?;
        return Ok(answer);
    }
    let Some(view) = store.data().view.clone() else {
        charge(&mut store, 5_000)?;
        return Ok(Err(invalid("there is no policy to ask about")));
    };
    let price = match store.data().memo.price {
        Some(price) => price,
        None => {
            // Paid before it is compiled.
            let text = view.subject().plain().len() as u64;
            let nodes = view.subject().tailnet().map_or(0, |tailnet| tailnet.nodes.len() as u64);
            charge(&mut store, 20 * text + 2_000 * nodes)?;
            let rules = view.policy().map_or(0, |policy| policy.ask(|net| net.origins().count()));
            let nodes =
                view.policy().map_or(0, |policy| policy.ask(|net| net.tailnet().nodes.len()));
            let price = 5_000 + 100 * rules as u64 + 10 * nodes as u64;
            store.data_mut().memo.price = Some(price);
            price
        }
    };
    charge(&mut store, price)?;
    let answer = match view.policy() {
        Some(policy) => answer(policy, &asked),
        None => Err(invalid("Headscale would not take the policy, so nothing is known of it")),
    };
    let rows = answer.as_ref().map_or(0, Answer::rows);
    charge(&mut store, 1_000 * rows)?;
    let memo = &mut store.data_mut().memo;
    if memo.rows < REMEMBERED
        && let Entry::Vacant(entry) = memo.answers.entry(asked)
    {
        memo.rows += 1 + rows as usize;
        entry.insert(answer.clone());
    }
    Ok(answer)
}

fn answer(policy: &Loaded, asked: &Asked) -> Result<Answer, wit::Problem> {
    policy.ask(|network| asked.of(network)).map_err(|error| problem(&error))
}

fn problem(error: &QueryError) -> wit::Problem {
    let message = match &error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message.clone(),
    };
    match error.problem {
        Kind::Unknown => wit::Problem::Unknown(message),
        Kind::Empty => wit::Problem::Empty(message),
        Kind::Invalid => wit::Problem::Invalid(message),
    }
}

impl Asked {
    fn of(&self, network: &Network<'_, '_>) -> Result<Answer, QueryError> {
        match self {
            Self::CanReach(connection) => {
                connection.with_question(|question| Ok(Answer::Extent(extent(network, question)?)))
            }
            Self::CanLogIn { source, destination, user } => {
                let to = destination_text(destination, None);
                let question =
                    Question { from: source, to: &to, ssh_user: Some(user), ..Question::default() };
                Ok(Answer::Extent(extent(network, &question)?))
            }
            Self::Explain(connection) => connection
                .with_question(|question| Ok(Answer::Explanation(explanation(network, question)?))),
            Self::WhoCanReach(destination, port) => {
                access(network, Side::To(&destination_text(destination, *port)))
            }
            Self::ReachableFrom(source) => access(network, Side::From(source)),
            Self::Resolve(name) => Ok(Answer::Resolved(resolved(network, name)?)),
        }
    }
}

impl Connection {
    fn with_question<T>(&self, ask: impl FnOnce(&Question<'_>) -> T) -> T {
        let to = destination_text(&self.destination, self.port);
        ask(&Question {
            from: &self.source,
            to: &to,
            protocol: self.protocol.as_deref(),
            ..Question::default()
        })
    }
}

/// A destination as the engine reads it; in brackets a name holds its own colons.
fn destination_text(name: &str, port: Option<u16>) -> String {
    match port {
        Some(port) => format!("[{name}]:{port}"),
        None => format!("[{name}]"),
    }
}

fn extent(network: &Network<'_, '_>, question: &Question<'_>) -> Result<wit::Extent, QueryError> {
    Ok(match network.extent(question)? {
        engine::Extent::None => wit::Extent::None,
        engine::Extent::Some => wit::Extent::Some,
        engine::Extent::All => wit::Extent::All,
    })
}

fn explanation(
    network: &Network<'_, '_>,
    question: &Question<'_>,
) -> Result<wit::Explanation, QueryError> {
    let all = network.explain(question)?;
    // What is told of all is a pair that is denied, if there is one.
    let (extent, allowed, denied) = if all.allowed {
        (wit::Extent::All, Some(all.pair), None)
    } else if all.partly {
        let any = network.explain(&Question { any: true, ..*question })?;
        (wit::Extent::Some, Some(any.pair), Some(all.pair))
    } else {
        (wit::Extent::None, None, Some(all.pair))
    };
    let causes = all.rules.into_iter().map(|cause| wit::Cause {
        rule: format!("/{}/{}", RuleSection::as_str(cause.section), cause.index),
        source_chain: cause.via,
        destination_chain: cause.via_to,
    });
    Ok(wit::Explanation { extent, causes: causes.collect(), allowed, denied })
}

fn access(network: &Network<'_, '_>, side: Side<'_>) -> Result<Answer, QueryError> {
    let rows = network.access_up_to(side, MOST_ROWS)?.rows.into_iter();
    Ok(Answer::Access(
        rows.map(|row| wit::Access {
            source: row.src,
            destination: row.dst,
            protocol: row.proto,
            ports: row.ports,
        })
        .collect(),
    ))
}

fn resolved(network: &Network<'_, '_>, name: &str) -> Result<wit::Resolved, QueryError> {
    let resolved = network.resolve(name)?;
    let tailnet = network.tailnet();
    let users: HashMap<u64, &User> = tailnet.users.iter().map(|user| (user.id, user)).collect();
    let nodes = resolved.nodes.iter().filter_map(|at| tailnet.nodes.get(*at)).map(|node| {
        let owner = node.user.filter(|_| node.tags.is_empty()).and_then(|id| users.get(&id));
        wit::Node {
            name: node.name.clone(),
            // As a policy names them, to be asked for again.
            user: owner.map(|user| match user.name.contains('@') {
                true => user.name.clone(),
                false => format!("{}@", user.name),
            }),
            tags: node.tags.clone(),
            addresses: node.addresses.iter().map(ToString::to_string).collect(),
        }
    });
    Ok(wit::Resolved { nodes: nodes.collect(), others: resolved.others })
}
