//! Columns of `kubectl get`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// A column.
pub(super) struct Column(CustomResourceColumnDefinition);

impl Column {
    fn new(type_: &str, name: &str, path: &str, what: &str) -> Self {
        Self(CustomResourceColumnDefinition {
            name: name.to_owned(),
            type_: type_.to_owned(),
            json_path: path.to_owned(),
            description: Some(what.to_owned()),
            ..CustomResourceColumnDefinition::default()
        })
    }

    /// The same, shown with `-o wide` only.
    pub(super) fn wide(mut self) -> Self {
        self.0.priority = Some(1);
        self
    }

    pub(super) fn into_definition(self) -> CustomResourceColumnDefinition {
        self.0
    }
}

/// A column of text, or of what `kubectl` writes a list as.
pub(super) fn text(name: &str, path: &str, what: &str) -> Column {
    Column::new("string", name, path, what)
}

/// A column of numbers.
pub(super) fn integer(name: &str, path: &str, what: &str) -> Column {
    Column::new("integer", name, path, what)
}

/// A column of `true` and `false`.
pub(super) fn boolean(name: &str, path: &str, what: &str) -> Column {
    Column::new("boolean", name, path, what)
}

/// The status of the condition `Ready`.
pub(super) fn ready(what: &str) -> Column {
    text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#, what)
}

/// The reason of the condition `Ready`, shown with `-o wide`.
pub(super) fn reason(what: &str) -> Column {
    text("Reason", r#".status.conditions[?(@.type=="Ready")].reason"#, what).wide()
}

/// How old the object is. `kubectl get` shows it unasked only where there are no columns.
pub(super) fn age() -> Column {
    let what = "How long ago the object was made.";
    Column::new("date", "Age", ".metadata.creationTimestamp", what)
}
