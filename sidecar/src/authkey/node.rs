//! `authkey run`: follows one tailscaled and has its key reissued whenever it is refused.

use std::time::Duration;

use headscale_keys::AuthKey;
use headscale_keys::reissue::{Action, OnNewKey, Watch, publish, request, reset_at_boot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::args::Run;
use super::error::Error;
use super::localapi::{Bus, LocalApi, LocalApiError, Notify};
use super::state_secret::StateSecret;
use super::wait::Looker;

/// The pause between two attempts to reach tailscaled's bus.
const RECONNECT: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &Run, client: &kube::Client) -> Result<(), Error> {
    Node::new(args, client).follow().await
}

struct Node<'a> {
    args: &'a Run,
    api: LocalApi,
    state: StateSecret,
    looker: Looker,
    watch: Watch,
    bus: Connection,
    /// When the wait for another key is over.
    deadline: Option<Instant>,
    /// Whether the state Secret is to be told which device this is.
    to_publish: bool,
    /// What tailscaled is to be told once it is back.
    pending: Option<Order>,
}

/// What tailscaled is told to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// To let go of the server.
    Disconnect,
    /// To read its config again and log in.
    LogIn,
}

/// The bus, which comes and goes with tailscaled.
struct Connection {
    bus: Option<Bus>,
    retry_at: Instant,
    told: bool,
}

impl Connection {
    /// The next thing that tailscaled says, however long it takes, and whatever happens to it.
    /// Nothing is lost when this is dropped half-way.
    async fn next(&mut self, api: &LocalApi) -> Heard {
        loop {
            let Some(bus) = &mut self.bus else {
                sleep_until(self.retry_at).await;
                self.retry_at = Instant::now() + RECONNECT;
                match api.watch().await {
                    Ok(bus) => {
                        let capability = bus.capability;
                        self.bus = Some(bus);
                        self.told = false;
                        return Heard::Attached(capability);
                    }
                    Err(error) => {
                        self.tell(&error);
                        continue;
                    }
                }
            };
            match bus.next().await {
                Ok(Some(notify)) => return Heard::Said(notify),
                Ok(None) => tracing::info!("tailscaled ended"),
                Err(error) => self.tell(&error),
            }
            self.bus = None;
        }
    }

    /// The bus is of a tailscaled that is gone, or as good as.
    fn lose(&mut self, error: &LocalApiError) {
        self.bus = None;
        self.tell(error);
    }

    fn tell(&mut self, error: &LocalApiError) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(%error, "tailscaled is out of reach; trying again each second");
        }
    }
}

enum Heard {
    /// The bus is open; the capability version of the tailscaled behind it.
    Attached(Option<u32>),
    /// A message.
    Said(Notify),
}

impl<'a> Node<'a> {
    fn new(args: &'a Run, client: &kube::Client) -> Self {
        let mut looker = Looker::new(args.directory.source());
        let watch = Watch::new(args.on_new_key.into(), looker.key().as_ref());
        Self {
            args,
            api: LocalApi::new(&args.localapi),
            state: StateSecret::new(client, args.state.namespace.as_deref(), &args.state.secret),
            looker,
            watch,
            bus: Connection { bus: None, retry_at: Instant::now(), told: false },
            deadline: None,
            to_publish: false,
            pending: None,
        }
    }

    async fn follow(mut self) -> Result<(), Error> {
        self.reset().await?;
        let mut ticks = interval(self.args.times.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.step(&mut ticks).await?.is_done() {
                return Ok(());
            }
        }
    }

    /// The operator may have answered while nobody was here to see.
    async fn reset(&mut self) -> Result<(), Error> {
        let marker = self.state.marker().await?;
        if let Some(patch) = reset_at_boot(marker.as_ref(), self.looker.key().as_ref()) {
            self.state.apply(&patch).await?;
            tracing::info!("the request of before was answered; dropped the marker");
        }
        Ok(())
    }

    async fn step(&mut self, ticks: &mut Interval) -> Result<Progress, Error> {
        let deadline = self.deadline;
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = self.bus.next(&self.api) => self.heard(heard).await,
            _ = ticks.tick(), if self.watch.is_waiting() || self.to_publish => {
                if self.to_publish {
                    self.publish().await?;
                }
                self.look().await
            }
            () = over => Err(Error::TimedOut {
                after: self.args.times.timeout,
                config: self.looker.wrong().cloned(),
            }),
        }
    }

    async fn heard(&mut self, heard: Heard) -> Result<Progress, Error> {
        let notify = match heard {
            Heard::Attached(capability) => {
                self.attached(capability).await?;
                return Ok(Progress::GoesOn);
            }
            Heard::Said(notify) => notify,
        };
        for signal in notify.signals() {
            let key = self.looker.key();
            let action = self.watch.heard(signal, key.as_ref());
            if self.act(action, key.as_ref()).await?.is_done() {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::GoesOn)
    }

    /// This tailscaled may be another one than before: it has read the config as it is now.
    async fn attached(&mut self, capability: Option<u32>) -> Result<(), Error> {
        tracing::info!(capability, "follows tailscaled");
        self.to_publish = false;
        if let (None, Some(own)) = (self.args.directory.capability_version, capability) {
            self.looker.set_capability(own);
        }
        let order = self.pending.take();
        if !self.watch.is_waiting() && order != Some(Order::LogIn) {
            let key = self.looker.key();
            self.watch = Watch::new(self.args.on_new_key.into(), key.as_ref());
        }
        match order {
            Some(order) => self.order(order).await,
            None => Ok(()),
        }
    }

    async fn look(&mut self) -> Result<Progress, Error> {
        let key = self.looker.key();
        let action = self.watch.looked(key.as_ref());
        Box::pin(self.act(action, key.as_ref())).await
    }

    async fn act(&mut self, action: Action, key: Option<&AuthKey>) -> Result<Progress, Error> {
        match action {
            Action::None => Ok(Progress::GoesOn),
            Action::Publish => {
                self.to_publish = true;
                self.publish().await?;
                Ok(Progress::GoesOn)
            }
            Action::TryLogin => {
                tracing::info!(
                    ?key,
                    "logs in with the key in the config before asking for another"
                );
                self.order(Order::LogIn).await?;
                Ok(Progress::GoesOn)
            }
            Action::Ask { failed, cause } => {
                tracing::info!(%cause, ?failed, "asks for another key");
                self.deadline = Some(Instant::now() + self.args.times.timeout);
                self.to_publish = false;
                self.order(Order::Disconnect).await?;
                let deadline = self.args.times.timeout;
                match tokio::time::timeout(deadline, self.state.apply(&request(&failed))).await {
                    Ok(asked) => asked?,
                    Err(_) => return Err(Error::TimedOut { after: deadline, config: None }),
                }
                // The answer may be there already.
                self.look().await
            }
            Action::Accept { clearing, restart } => {
                tracing::info!(?key, "another key has come");
                self.deadline = None;
                self.state.clear(clearing).await?;
                match restart {
                    OnNewKey::Exit => Ok(Progress::Done),
                    OnNewKey::Login => {
                        self.order(Order::LogIn).await?;
                        Ok(Progress::GoesOn)
                    }
                }
            }
        }
    }

    /// Tells tailscaled to do something. One that goes away is told when it is back.
    async fn order(&mut self, order: Order) -> Result<(), Error> {
        let done = match order {
            Order::Disconnect => self.api.disconnect_control().await,
            Order::LogIn => self.log_in().await,
        };
        self.pending = None;
        match done {
            Err(error) if error.is_absence() => {
                self.pending = Some(order);
                self.bus.lose(&error);
                Ok(())
            }
            done => Ok(done?),
        }
    }

    /// Opens the bus anew, so that what is heard from now on is about this login.
    async fn log_in(&mut self) -> Result<(), LocalApiError> {
        let bus = self.api.watch_from_now().await?;
        self.api.login_by_config().await?;
        self.bus.bus = Some(bus);
        Ok(())
    }

    /// Tells the operator which device this is, so that it takes the key out of the config. Where
    /// tailscaled does not say, it is asked again at the next tick.
    async fn publish(&mut self) -> Result<(), Error> {
        match self.api.device().await {
            Ok(Some(device)) => {
                let ips = device.ips.unwrap_or_default();
                self.state.apply(&publish(&device.id, &device.name, &ips)).await?;
                tracing::info!(device_id = device.id, "tailscaled is logged in");
                self.to_publish = false;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "tailscaled does not say which device it is"),
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    GoesOn,
    Done,
}

impl Progress {
    fn is_done(self) -> bool {
        self == Self::Done
    }
}
