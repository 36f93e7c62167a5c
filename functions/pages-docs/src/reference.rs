//! The API's description as a page.

use plixo_pages::{ApiAnswer, ApiField, ApiShape, ApiType, Operation, OperationGroup, Reference};
use serde_json::Value;

use crate::Path;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page of a description.
pub(crate) fn of(openapi: &Value) -> Reference {
    let mut groups: Vec<OperationGroup> = Vec::new();
    for (path, item) in entries(&openapi["paths"]) {
        for method in METHODS.into_iter().filter(|method| item.get(*method).is_some()) {
            let (name, operation) = operation(path, method, &item[method]);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(OperationGroup { name, operations: vec![operation] }),
            }
        }
    }
    let shape = |(name, schema): (&String, &Value)| ApiShape {
        name: name.clone(),
        about: text(&schema["description"]),
        fields: fields(schema),
    };
    Reference { groups, shapes: entries(at(openapi, "/components/schemas")).map(shape).collect() }
}

/// The paths, each with its methods.
pub(crate) fn paths(openapi: &Value) -> Vec<Path> {
    let path = |(template, item): (&String, &Value)| {
        let known = METHODS.into_iter().filter(|method| item.get(*method).is_some());
        let allow = known.map(str::to_uppercase).collect::<Vec<_>>().join(", ");
        Path { template: template.clone(), allow }
    };
    entries(at(openapi, "/paths")).map(path).collect()
}

fn operation(path: &str, method: &str, told: &Value) -> (String, Operation) {
    let parameter = |told: &Value| ApiField {
        name: text(&told["name"]),
        place: text(&told["in"]),
        of: kind(&told["schema"]),
        required: told["required"] == true,
        about: text(&told["description"]),
    };
    let answer = |(status, told): (&String, &Value)| ApiAnswer {
        status: status.clone(),
        about: text(&told["description"]),
        of: entries(&told["content"]).next().map(|(_, content)| kind(&content["schema"])),
    };
    let operation = Operation {
        id: text(&told["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&told["summary"]),
        needs_token: told["security"].is_array(),
        parameters: told["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
        body: entries(at(told, "/requestBody/content")).next().map(|(_, content)| kind(&content["schema"])),
        answers: entries(&told["responses"]).map(answer).collect(),
    };
    (text(at(told, "/tags/0")), operation)
}

fn fields(schema: &Value) -> Vec<ApiField> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|needed| needed == name))
    };
    let field = |(name, told): (&String, &Value)| ApiField {
        name: name.clone(),
        place: String::new(),
        of: kind(told),
        required: required(name),
        about: text(&told["description"]),
    };
    let own = entries(&schema["properties"]).map(field);
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(fields);
    own.chain(parts).collect()
}

fn kind(schema: &Value) -> ApiType {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default().to_owned();
        return ApiType { words: name.clone(), shape: Some(name) };
    }
    if schema["type"] == "array" {
        let ApiType { words, shape } = kind(&schema["items"]);
        return ApiType { words: format!("list of {words}"), shape };
    }
    let options = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|name| schema[name].as_array());
    if let Some(options) = options {
        let kinds: Vec<ApiType> =
            options.iter().filter(|option| option["type"] != "null").map(kind).collect();
        let words: Vec<&str> = kinds.iter().map(|kind| kind.words.as_str()).collect();
        let shape = kinds.iter().find_map(|kind| kind.shape.clone());
        return ApiType { words: words.join(" or "), shape };
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(text).collect();
        return ApiType { words: words.join(", "), shape: None };
    }
    let words = match &schema["type"] {
        Value::Array(words) => words.iter().map(text).find(|word| word != "null").unwrap_or_default(),
        word => text(word),
    };
    ApiType { words, shape: None }
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
