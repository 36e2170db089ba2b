//! Instances of the Go operator become ours, and ours are made, through a kill at every write.

use headscale_api::kinds::Headscale;
use headscale_faults::Fault;
use headscale_standin::Version;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::kill::{MANY, killed_at, settle};

/// What the Go operator makes of an instance. Its first release calls the objects of each
/// `headscale`, later ones call them as the instance.
fn of_the_go_operator(headscale: &Headscale, main: &str) -> Vec<Value> {
    let labels = json!({
        "app.kubernetes.io/name": "headscale",
        "app.kubernetes.io/instance": headscale.name_any(),
        "app.kubernetes.io/managed-by": "headscale-operator",
    });
    let metadata = |name: String| {
        json!({
            "name": name,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "headscale.infrado.cloud/v1beta1",
                "kind": "Headscale",
                "name": headscale.name_any(),
                "uid": headscale.uid(),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        })
    };
    let object = |api_version: &str, kind: &str, name: &str, more: Value| {
        let mut object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": metadata(name.to_owned()),
        });
        for (field, value) in more.as_object().expect("an object") {
            object[field] = value.clone();
        }
        object
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let rules = json!([
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["headscale-api-key"],
            "verbs": ["get", "list", "watch", "update", "patch"],
        },
        { "apiGroups": [""], "resources": ["secrets"], "verbs": ["create"] },
    ]);
    let binding = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": main },
        "subjects": [{ "kind": "ServiceAccount", "name": main, "namespace": headscale.namespace() }],
    });
    let probe = |delay: u8, period: u8| {
        json!({
            "httpGet": { "path": "/health", "port": "http" },
            "initialDelaySeconds": delay,
            "periodSeconds": period,
        })
    };
    let containers = json!([
        {
            "name": "headscale",
            "image": "headscale/headscale:v0.28.0",
            "imagePullPolicy": "IfNotPresent",
            "command": ["headscale", "serve"],
            "ports": [
                { "name": "http", "containerPort": 8080, "protocol": "TCP" },
                { "name": "metrics", "containerPort": 9090, "protocol": "TCP" },
                { "name": "grpc", "containerPort": 50443, "protocol": "TCP" },
            ],
            "volumeMounts": [
                { "name": "config", "mountPath": "/etc/headscale", "readOnly": true },
                { "name": "data", "mountPath": "/var/lib/headscale" },
                { "name": "socket", "mountPath": "/var/run/headscale" },
            ],
            "livenessProbe": probe(30, 10),
            "readinessProbe": probe(5, 5),
        },
        {
            "name": "apikey-manager",
            "image": "ghcr.io/infradohq/headscale-operator/apikey-manager:latest",
            "imagePullPolicy": "IfNotPresent",
            "args": ["--socket-path=/var/run/headscale/headscale.sock"],
            "volumeMounts": [{ "name": "socket", "mountPath": "/var/run/headscale" }],
        },
    ]);
    let pod = json!({
        "serviceAccountName": main,
        "securityContext": {
            "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": true,
        },
        "containers": containers,
        "volumes": [
            { "name": "config", "configMap": { "name": format!("{main}-config") } },
            { "name": "socket", "emptyDir": {} },
        ],
    });
    let annotations = json!({ "headscale.infrado.cloud/config-hash": "0123456789abcdef" });
    let set = json!({ "spec": {
        "replicas": 1,
        "serviceName": main,
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": pod },
        "volumeClaimTemplates": [{
            "metadata": { "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
            },
        }],
    } });
    let service = |ports: Value| json!({ "spec": { "type": "ClusterIP", "selector": labels, "ports": ports } });
    vec![
        object("v1", "ServiceAccount", main, json!({})),
        object(rbac, "Role", main, json!({ "rules": rules })),
        object(rbac, "RoleBinding", main, binding),
        object(
            "v1",
            "ConfigMap",
            &format!("{main}-config"),
            json!({ "data": { "config.yaml": "server_url: https://headscale.example.com\n" } }),
        ),
        object("apps/v1", "StatefulSet", main, set),
        object(
            "v1",
            "Service",
            main,
            service(json!([
                { "name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP" },
                { "name": "grpc", "port": 50443, "targetPort": 50443, "protocol": "TCP" },
            ])),
        ),
        object(
            "v1",
            "Service",
            &format!("{main}-metrics"),
            service(json!([{ "name": "metrics", "port": 9090, "targetPort": 9090 }])),
        ),
    ]
}

/// The fields of objects whose API key is in the Secret of the Go operator's first release.
fn spec() -> Value {
    json!({
        "version": "v0.28.0",
        "api_key": { "auto_manage": true, "secret_name": "headscale-api-key" },
        "persistent_volume_claim": { "size": "1Gi" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_the_go_operator_is_rolled_once_and_keeps_what_it_has() {
    for main in ["headscale", "sample"] {
        let Some(bench) = Bench::new(Version::V0_28).await else { return };
        let headscale = bench.make_instance("sample", spec()).await;
        let finalizer = json!({ "finalizers": ["headscale.infrado.cloud/finalizer"] });
        bench.edit("Headscale", "sample", json!({ "metadata": finalizer })).await;
        bench.put_api_key("headscale").await;
        for object in of_the_go_operator(&headscale, main) {
            bench.make(object).await;
        }
        bench.roll(main, true).await;
        let service = bench.read("Service", main).await.expect("a Service");
        let set = bench.read("StatefulSet", main).await.expect("a StatefulSet");
        let objects = bench.everything().await;

        let resolve = bench.resolve().replacen("hs.", &format!("{main}."), 1);
        let mut running = bench.operator().also("resolve", &resolve).start();
        let generation = async || bench.set(main).await.and_then(|set| set.metadata.generation);
        running.until("rolled", async || generation().await == Some(2)).await;
        let ready = async || {
            bench.roll(main, true).await;
            bench.reason("sample", "Ready").await == "Reconciled"
        };
        running.until("ready", ready).await;
        assert_eq!(generation().await, Some(2), "once");

        let after = bench.read("StatefulSet", main).await.expect("a StatefulSet");
        for field in ["selector", "serviceName", "volumeClaimTemplates"] {
            assert_eq!(after["spec"][field], set["spec"][field], "{field}");
        }
        assert_eq!(after["metadata"]["uid"], set["metadata"]["uid"]);
        let pod = &after["spec"]["template"]["spec"];
        let live = &pod["containers"][0]["livenessProbe"];
        assert_eq!(live["httpGet"]["path"], "/version");
        assert_eq!(live["initialDelaySeconds"], Value::Null, "nothing of theirs is left");
        assert_eq!(pod["containers"].as_array().map(Vec::len), Some(2));
        assert_eq!(pod["initContainers"], Value::Null);
        let now = bench.read("Service", main).await.expect("a Service");
        assert_eq!(now["spec"]["clusterIP"], service["spec"]["clusterIP"]);
        let managers = after["metadata"]["managedFields"].to_string();
        assert!(!managers.contains("\"manager\":\"manager\""), "{managers}");
        let all = bench.everything().await;
        let names = |all: &std::collections::BTreeMap<String, String>| {
            all.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(&all), names(&objects), "nothing is made beside it");

        bench.proxy.reset();
        let looks = async || {
            let requests = bench.proxy.requests();
            requests.iter().filter(|it| it.path.starts_with("/api/v1/user")).count() > 4
        };
        running.until("looked at again", looks).await;
        assert_eq!(bench.writes(), Vec::<String>::new());
        drop(running);
        let mut running = bench.operator().also("resolve", &resolve).start();
        bench.proxy.reset();
        running.until("looked at again", looks).await;
        assert_eq!(bench.writes(), Vec::<String>::new());
        assert_eq!(bench.everything().await, all);
    }
}

/// The objects of an instance, without its name, and the hashes that have it.
async fn shape(bench: &Bench, name: &str) -> Value {
    let text = json!(bench.contents(name).await).to_string().replace(name, "NAME");
    let mut shape: Value = serde_json::from_str(&text).expect("JSON");
    for object in shape.as_object_mut().expect("an object").values_mut() {
        if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
            annotations.remove("headscale.infrado.cloud/applied-hash");
        }
        // Nothing of how it came to be.
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            port.as_object_mut().expect("a port").remove("nodePort");
        }
    }
    shape
}

/// Makes instances, or has those of the Go operator taken over, and kills at each write.
async fn kill_at_each_write(is_taken_over: bool) {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let more = |name: &str| {
        let mut spec = spec();
        spec["api_key"]["secret_name"] = json!(format!("{name}-api-key"));
        // With a Secret of its own, which has to be there first.
        spec["config"] = crate::instance::config();
        spec["config"]["oidc"] = json!({
            "issuer": "https://login.example.com", "client_id": "hs", "client_secret": "hush",
        });
        spec
    };
    let mut first = None;
    for n in 1..MANY {
        let mut reached = false;
        for is_done in [false, true] {
            let name = format!("i{n:02}{}", if is_done { "y" } else { "n" });
            let headscale = bench.make_instance(&name, more(&name)).await;
            if is_taken_over {
                for object in of_the_go_operator(&headscale, &name) {
                    bench.make(object).await;
                }
            }
            let told = async || bench.reason(&name, "Ready").await == "PodNotReady";
            reached |= killed_at(&bench, n, is_done, told).await;
            settle(&bench, told).await;
            let mut shape = shape(&bench, &name).await;
            // It is a resource version.
            let set = &mut shape["StatefulSet/NAME"];
            let annotations = &mut set["spec"]["template"]["metadata"]["annotations"];
            assert!(annotations["headscale.infrado.cloud/secrets-hash"].is_string(), "{set}");
            annotations["headscale.infrado.cloud/secrets-hash"] = Value::Null;
            let generation = bench.set(&name).await.and_then(|set| set.metadata.generation);
            let expected = if is_taken_over { 2 } else { 1 };
            assert_eq!(generation, Some(expected), "{n}: one roll at most");
            assert_eq!(first.get_or_insert_with(|| shape.clone()), &shape, "{n}");
        }
        if !reached {
            println!("it takes less than {n} writes");
            assert!(n > 9, "it takes more than {n} writes");
            return;
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_the_same_after_a_kill_at_every_write() {
    kill_at_each_write(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_the_same_after_a_kill_at_every_write() {
    kill_at_each_write(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_made_through_many_faults() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let faults: [fn() -> Fault; 5] = [
        || Fault::DropBefore,
        || Fault::DropAfter,
        || Fault::Truncate,
        || Fault::Status(409),
        || Fault::Status(503),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        bench.proxy.reset();
        let mut requests = 0;
        bench.proxy.faults(move |request| {
            if request.path.contains("watch=") || request.path.contains("/events") {
                return None;
            }
            requests += 1;
            (requests % 3 == number % 3 && requests < 60).then(fault)
        });
        let name = format!("f{number}");
        bench.make_instance(&name, json!({})).await;
        let mut running = bench.operator().start();
        let told = async || bench.reason(&name, "Ready").await == "PodNotReady";
        running.until("made", told).await;
        assert_eq!(
            bench.contents(&name).await.len(),
            7,
            "{:?}",
            bench.contents(&name).await.keys()
        );
        assert_eq!(bench.set(&name).await.and_then(|set| set.metadata.generation), Some(1));
    }
}
