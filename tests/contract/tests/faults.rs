//! What the client says where things go wrong: on TCP and on the socket of every version, against a
//! stand-in that has faults on demand.

use std::path::Path;
use std::time::Duration;

use headscale_client::{
    ApiKeys, Error, ErrorKind, HeadscaleApi as _, HttpClient, Release, SocketClient,
    SocketTransport,
};
use headscale_keys::ApiKey;
use headscale_standin::{Call, Fault, Kind, Options, StandIn, Version};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::task::JoinSet;

const TIMEOUT: Duration = Duration::from_secs(10);
const SOCKET: &str = "headscale.sock";

struct World {
    directory: TempDir,
    server: StandIn,
}

fn options(version: Version, directory: &Path) -> Options {
    Options::new(version, directory).on_socket(directory.join(SOCKET)).on_tcp()
}

impl World {
    async fn new(version: Version) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = StandIn::start(options(version, directory.path())).await;
        Self { directory, server: server.expect("a stand-in") }
    }

    fn socket(&self, timeout: Duration) -> SocketClient {
        SocketClient::new(self.server.socket().expect("a socket"), timeout)
    }

    fn http(&self, key: &ApiKey, timeout: Duration) -> HttpClient {
        let builder = HttpClient::builder(&self.server.url().expect("TCP"));
        builder.api_key(key.clone()).timeout(timeout).build().expect("a client")
    }

    fn fail(&self, call: Call, kind: Kind) {
        self.server.faults().inject(Fault { call, kind, times: 1 });
    }

    fn keys(&self) -> usize {
        self.server.api_keys().len()
    }
}

fn tomorrow() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24)
}

/// What a fault makes of a call, and whether it was carried out all the same.
const FAULTS: &[(Kind, ErrorKind, bool)] = &[
    (Kind::DropBefore, ErrorKind::Unavailable, false),
    (Kind::DropAfter, ErrorKind::Unavailable, true),
    (Kind::Truncated, ErrorKind::Unavailable, true),
    (Kind::Status(503), ErrorKind::Unavailable, false),
    (Kind::Status(500), ErrorKind::Internal, false),
    (Kind::Unauthorized, ErrorKind::Unauthorized, false),
];

/// Every fault, on creating a key: nothing is asked for twice, and what may have happened is told.
async fn hold(world: &World, client: &impl ApiKeys) {
    for &(kind, expected, happens) in FAULTS {
        let before = (world.keys(), world.server.requests().len());
        world.fail(Call::CreateApiKey, kind);
        let error = client.create_api_key(tomorrow()).await.expect_err("a fault");
        assert_eq!(error.kind(), expected, "{kind:?}: {error}");
        let is_clear = expected == ErrorKind::Unauthorized;
        assert_eq!(error.may_have_acted(), !is_clear, "{kind:?}: {error}");
        assert_eq!(world.keys() - before.0, usize::from(happens), "{kind:?}");
        let asked = world.server.requests().split_off(before.1);
        let asked = asked.iter().filter(|asked| is_create(asked)).count();
        assert_eq!((asked, world.server.faults().left()), (1, 0), "{kind:?}");
        // And then all is well again.
        client.create_api_key(tomorrow()).await.expect("a key");
    }
}

fn is_create(asked: &str) -> bool {
    asked == "POST /api/v1/apikey" || asked == "grpc CreateApiKey"
}

#[tokio::test]
async fn what_may_have_happened_is_told_on_every_transport() {
    for version in Version::ALL {
        let world = World::new(version).await;
        let socket = world.socket(TIMEOUT);
        let key = socket.create_api_key(tomorrow()).await.expect("a key");
        hold(&world, &socket).await;
        hold(&world, &world.http(&key, TIMEOUT)).await;
    }
}

/// Asserts that an answer was waited for, and not for ever.
fn assert_late(result: Result<ApiKey, Error>) {
    let error = result.expect_err("it is late");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Timeout, true));
}

#[tokio::test]
async fn a_late_answer_is_not_waited_for_and_the_next_call_is_not_disturbed() {
    for version in Version::ALL {
        let world = World::new(version).await;
        let key = world.socket(TIMEOUT).create_api_key(tomorrow()).await.expect("a key");
        let late = Kind::Delay(Duration::from_secs(60));
        let short = Duration::from_millis(500);
        let (socket, http) = (world.socket(short), world.http(&key, short));
        world.fail(Call::CreateApiKey, late);
        assert_late(socket.create_api_key(tomorrow()).await);
        socket.list_api_keys().await.expect("a list");
        world.fail(Call::CreateApiKey, late);
        assert_late(http.create_api_key(tomorrow()).await);
        http.list_api_keys().await.expect("a list");
    }
}

#[tokio::test]
async fn another_version_may_come_up_at_the_same_socket() {
    let World { directory, mut server } = World::new(Version::V0_28).await;
    let socket = SocketClient::new(server.socket().expect("a socket"), TIMEOUT);
    let mut databases = Vec::new();
    for (version, transport) in [
        (Version::V0_30, SocketTransport::Http),
        (Version::V0_29, SocketTransport::Grpc),
        (Version::V0_28, SocketTransport::Grpc),
        (Version::V0_30, SocketTransport::Http),
    ] {
        socket.list_api_keys().await.expect("a list");
        // As an upgrade or a crash ends it.
        match version {
            Version::V0_29 => server.crash(),
            _ => server.stop().await,
        }
        let error = socket.create_api_key(tomorrow()).await.expect_err("it is down");
        assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
        // One with a database of its own, for none takes the database of any other version.
        databases.push(tempfile::tempdir().expect("a directory"));
        let database = databases.last().expect("it was pushed").path();
        let next =
            Options::new(version, database).on_socket(directory.path().join(SOCKET)).on_tcp();
        server = StandIn::start(next).await.expect("a stand-in");
        let key = socket.create_api_key(tomorrow()).await.expect("a key");
        assert!(server.authenticates(key.expose()));
        assert_eq!(socket.transport().await.expect("a transport"), transport);
    }
}

#[tokio::test]
async fn builds_without_a_number_are_told_by_what_they_have() {
    for (version, release) in [
        (Version::V0_28, Release::V0_28),
        (Version::V0_29, Release::V0_29),
        (Version::V0_30, Release::V0_30),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = options(version, directory.path());
        options.reported_version = "dev".to_owned();
        let server = StandIn::start(options).await.expect("a stand-in");
        let url = server.url().expect("TCP");
        let client = HttpClient::builder(&url).build().expect("a client");
        let told = client.version().await.expect("a version");
        assert_eq!((told.release, told.reported.as_str()), (release, "dev"));
    }
}

#[tokio::test]
async fn a_connection_that_headscale_closed_meanwhile_is_replaced() {
    let mut versions: JoinSet<()> = Version::ALL.into_iter().map(outlive).collect();
    while let Some(done) = versions.join_next().await {
        done.expect("it is replaced");
    }
}

async fn outlive(version: Version) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = options(version, directory.path());
    options.read_timeout = Some(Duration::from_secs(1));
    let server = StandIn::start(options).await.expect("a stand-in");
    let socket = SocketClient::new(server.socket().expect("a socket"), TIMEOUT);
    let key = socket.create_api_key(tomorrow()).await.expect("a key");
    let builder = HttpClient::builder(&server.url().expect("TCP"));
    let http = builder.api_key(key).build().expect("a client");
    // Only what speaks HTTP is closed when nobody asks for anything.
    let left = match socket.transport().await.expect("a transport") {
        SocketTransport::Grpc => 1,
        SocketTransport::Http => 0,
    };
    for made in 0..3 {
        closed(&server, left).await;
        assert_eq!(server.api_keys().len(), 1 + 2 * made);
        http.create_api_key(tomorrow()).await.expect("a key");
        socket.create_api_key(tomorrow()).await.expect("a key");
    }
}

/// Waits until no more than `left` connections are open, and clients may know it.
async fn closed(server: &StandIn, left: usize) {
    let closed = async {
        let mut is_closed = false;
        while !is_closed {
            is_closed = server.connections() <= left;
            // After the last look too: the clients' own tasks are to see it.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, closed).await.expect("the stand-in closes connections");
}
