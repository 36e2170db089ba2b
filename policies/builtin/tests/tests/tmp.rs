//! x
#[test]
fn t() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../examples/keystone/values.yaml")).unwrap();
    let v: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let out = headscale_policy_sdk::testing::render::<keystone::Keystone>(&v).unwrap();
    std::fs::write("/tmp/guesthost/out.hujson", &out).unwrap();
    println!("{out}");
}
