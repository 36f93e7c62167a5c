//! The reference of the API.

use askama::Template;

use crate::page::pages;

/// `GET /docs/api`, for everybody.
#[derive(Clone, Default, Template)]
#[template(path = "reference.html")]
pub struct Reference {
    /// The operations, by subject.
    pub groups: Vec<OperationGroup>,
    /// The shapes that they take and answer.
    pub shapes: Vec<ApiShape>,
}

/// Operations on one subject.
#[derive(Clone)]
pub struct OperationGroup {
    /// The subject.
    pub name: String,
    /// The operations.
    pub operations: Vec<Operation>,
}

/// One operation.
#[derive(Clone)]
pub struct Operation {
    /// Its name, unique, as a fragment of the page's address.
    pub id: String,
    /// `GET`.
    pub method: String,
    /// `/v1/orgs/{org}`.
    pub path: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// Whether a bearer token is asked for.
    pub needs_token: bool,
    /// Its parameters.
    pub parameters: Vec<ApiField>,
    /// The shape that it takes.
    pub body: Option<ApiType>,
    /// What it answers.
    pub answers: Vec<ApiAnswer>,
}

/// A parameter or a field.
#[derive(Clone)]
pub struct ApiField {
    /// Its name.
    pub name: String,
    /// Where a parameter stands: `path`, `query`, `header`. Empty for a field.
    pub place: String,
    /// Its type.
    pub of: ApiType,
    /// Whether it must be there.
    pub required: bool,
    /// What it is.
    pub about: String,
}

/// A type: a word, and the shape that it names.
#[derive(Clone, Default)]
pub struct ApiType {
    /// As people read it: `list of Invoice`.
    pub words: String,
    /// The shape, if it names one.
    pub shape: Option<String>,
}

/// An answer.
#[derive(Clone)]
pub struct ApiAnswer {
    /// The status.
    pub status: String,
    /// When it is given.
    pub about: String,
    /// Its body.
    pub of: Option<ApiType>,
}

/// A shape.
#[derive(Clone)]
pub struct ApiShape {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its fields.
    pub fields: Vec<ApiField>,
}

pages!(Reference);
