//! What the Go operator's projects publish, applied as it is.

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser};
use serde_json::Value;

use crate::stage::Stage;

const SAMPLES: &str = include_str!("../../../api/tests/kinds/go/published-samples-v0.5.yaml");
const NAME: &str = "headscale-sample";
const KEYS: [&str; 2] = ["headscalepreauthkey-sample", "tags-alone"];

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_go_operator_end_ready() {
    let Some(stage) = Stage::new(&[NAME]).await else { return };
    let mut operator = stage.start();
    for document in SAMPLES.split("---\n") {
        let object: Value = serde_saphyr::from_str(document).expect("a manifest");
        match (object["kind"].as_str(), object["metadata"]["name"].as_str()) {
            // One that has all fields there are, and needs Secrets that nobody has.
            (Some("Headscale"), Some("headscale-everything")) => {}
            (Some("Headscale"), _) => drop(stage.create::<Headscale>(object).await),
            (Some("HeadscaleUser"), _) => drop(stage.create::<HeadscaleUser>(object).await),
            (Some("HeadscalePreAuthKey"), _) => {
                drop(stage.create::<HeadscalePreAuthKey>(object).await);
            }
            _ => {}
        }
    }
    stage.until(&mut operator, "ready", async || stage.is_ready(NAME).await).await;
    let has_user = async || stage.is_user_ready("headscaleuser-sample").await;
    stage.until(&mut operator, "a user", has_user).await;
    for key in KEYS {
        stage.until(&mut operator, key, async || stage.is_key_ready(key).await).await;
    }
    stage.until_quiet(&mut operator).await;
    stage.writes_nothing_more(operator).await;
}
