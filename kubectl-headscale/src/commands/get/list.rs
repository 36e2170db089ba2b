//! Asking for objects: as tables that the server makes, or as they are.

use futures_util::Stream;
use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::{GetParams, ListParams, WatchParams};
use kube::core::{Request, WatchEvent};
use serde::Deserialize;
use serde_json::Value;

use super::table::{ListMetadata, Table};
use crate::kubernetes::{Cluster, Resource};

const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// What is asked for.
pub(super) struct Query<'q> {
    pub(super) resource: &'static Resource,
    /// The namespace; all where `None`.
    pub(super) namespace: Option<&'q str>,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
    /// Objects per request; 0 for all in one.
    pub(super) chunk: u32,
    /// Whether the server makes a table of them.
    pub(super) table: bool,
    /// Whether the rows of tables have the metadata of their objects.
    pub(super) metadata: bool,
}

/// An answer of the server.
#[derive(Debug)]
pub(super) enum Listed {
    Table(Table),
    Objects(Vec<Value>),
}

/// A list of objects.
#[derive(Debug, Deserialize)]
struct Objects {
    #[serde(default)]
    metadata: ListMetadata,
    items: Vec<Value>,
}

impl Listed {
    /// The table, if it is one.
    pub(super) fn table(self) -> Option<Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Objects(_) => None,
        }
    }

    /// The objects, where it is no table.
    pub(super) fn objects(self) -> Vec<Value> {
        match self {
            Self::Objects(objects) => objects,
            Self::Table(_) => Vec::new(),
        }
    }
}

impl Query<'_> {
    /// All objects, page by page.
    pub(super) async fn list(&self, cluster: &Cluster) -> Result<Vec<Listed>, kube::Error> {
        let mut pages = Vec::new();
        let mut rest = String::new();
        loop {
            let (page, metadata) = self.page(cluster, rest).await?;
            pages.push(page);
            if metadata.rest.is_empty() {
                return Ok(pages);
            }
            rest = metadata.rest;
        }
    }

    /// The same together with the version of the list.
    pub(super) async fn list_versioned(
        &self,
        cluster: &Cluster,
    ) -> Result<(Vec<Listed>, String), kube::Error> {
        let mut pages = Vec::new();
        let mut rest = String::new();
        loop {
            let (page, metadata) = self.page(cluster, rest).await?;
            pages.push(page);
            if metadata.rest.is_empty() {
                return Ok((pages, metadata.resource_version));
            }
            rest = metadata.rest;
        }
    }

    async fn page(
        &self,
        cluster: &Cluster,
        rest: String,
    ) -> Result<(Listed, ListMetadata), kube::Error> {
        let params = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: (self.chunk > 0).then_some(self.chunk),
            continue_token: (!rest.is_empty()).then_some(rest),
            ..ListParams::default()
        };
        let request = self.path().list(&params).map_err(kube::Error::BuildRequest)?;
        let request = self.as_wanted(request)?;
        if self.table {
            let mut table: Table = cluster.client.request(request).await?;
            let metadata = std::mem::take(&mut table.metadata);
            return Ok((Listed::Table(table), metadata));
        }
        let objects: Objects = cluster.client.request(request).await?;
        Ok((Listed::Objects(objects.items), objects.metadata))
    }

    /// The object `name`.
    pub(super) async fn get(&self, cluster: &Cluster, name: &str) -> Result<Listed, kube::Error> {
        let request = self.path().get(name, &GetParams::default());
        let request = self.as_wanted(request.map_err(kube::Error::BuildRequest)?)?;
        if self.table {
            return Ok(Listed::Table(cluster.client.request(request).await?));
        }
        Ok(Listed::Objects(vec![cluster.client.request(request).await?]))
    }

    /// The changes after `version`.
    pub(super) async fn changes(
        &self,
        cluster: &Cluster,
        version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, kube::Error>> + use<>, kube::Error>
    {
        let params = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            // In a watch of tables these are tables too, which nobody needs.
            bookmarks: false,
            ..WatchParams::default()
        };
        let request = self.path().watch(&params, version).map_err(kube::Error::BuildRequest)?;
        cluster.client.request_events(self.as_wanted(request)?).await
    }

    fn path(&self) -> Request {
        Request::new(self.resource.path(self.namespace))
    }

    /// `request` for a table, where one is wanted.
    fn as_wanted(
        &self,
        mut request: http::Request<Vec<u8>>,
    ) -> Result<http::Request<Vec<u8>>, kube::Error> {
        if !self.table {
            return Ok(request);
        }
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(AS_TABLE));
        let include = if self.metadata { "Metadata" } else { "None" };
        let uri = request.uri();
        let separator = match uri.query() {
            None => "?",
            Some("") => "",
            Some(_) => "&",
        };
        *request.uri_mut() = format!("{uri}{separator}includeObject={include}")
            .parse()
            .map_err(|error: http::uri::InvalidUri| kube::Error::HttpError(error.into()))?;
        Ok(request)
    }
}
