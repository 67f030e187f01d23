//! The OpenAPI 3.1 document, made from the table of operations. `docs/openapi.json` is its copy, and a test keeps it so.

use axum::routing::MethodFilter;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::Operation;

/// The document, indented, with a line end.
pub(crate) fn document() -> String {
    let operations = super::all();
    // What is given and what is taken are different types here, so their shapes never meet under one name.
    let (mut given, mut taken) = (generator(Contract::Serialize), generator(Contract::Deserialize));
    let mut paths = Map::new();
    for operation in &operations {
        let described = describe(operation, &mut given, &mut taken);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[method(operation.method)] = described;
    }
    let mut schemas = given.take_definitions(true);
    schemas.extend(taken.take_definitions(true));
    schemas.insert("Problem".into(), problem());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pushgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The internal address of pushgate. Whoever changes something sends the ETag they read as If-Match, and gets 412 \
                            with the present one if somebody else was faster. Lists come a page at a time: give next as after.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Problem": {
                "description": "It was not done; the detail says what to do.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "Any user name; the token is the password." },
            },
        },
    });
    format!("{document:#}\n")
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.contract = contract;
    settings.meta_schema = None;
    settings.into_generator()
}

fn describe(operation: &Operation, given: &mut SchemaGenerator, taken: &mut SchemaGenerator) -> Value {
    let role = operation.role.map_or("Anybody may, without a token".to_owned(), |role| format!("Needs the role {}", role.name()));
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.doc,
        "description": format!("{role}."),
        "parameters": parameters(operation, taken),
        "responses": responses(operation, given),
    });
    if operation.role.is_none() {
        described["security"] = json!([]);
    }
    if let Some((content_type, shape)) = operation.takes {
        described["requestBody"] = json!({ "required": true, "content": { content_type: { "schema": shape(taken) } } });
    }
    described
}

fn parameters(operation: &Operation, taken: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let string = json!({ "type": "string", "minLength": 1 });
    let mut parameters: Vec<Value> =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": string })).collect();
    if operation.needs_revision || operation.takes_revision {
        let doc = "The ETag that was read, or * for whatever is there.";
        let schema = json!({ "type": "string", "pattern": "^(\\*|\"[0-9]+\")$" });
        parameters.push(
            json!({ "name": "If-Match", "in": "header", "required": operation.needs_revision, "description": doc, "schema": schema }),
        );
    }
    let query = operation.query.map(|shape| shape(taken)).map(Schema::to_value);
    for (name, shape) in query.as_ref().and_then(|query| query["properties"].as_object()).into_iter().flatten() {
        let (mut shape, mut parameter) = (shape.clone(), json!({ "name": name, "in": "query" }));
        if let Some(doc) = shape.as_object_mut().and_then(|shape| shape.remove("description")) {
            parameter["description"] = doc;
        }
        parameter["schema"] = present(shape);
        parameters.push(parameter);
    }
    parameters
}

/// A parameter is there or not; it is never null.
fn present(mut shape: Value) -> Value {
    if let Some(choices) = shape.get("anyOf").and_then(Value::as_array) {
        return choices.iter().find(|choice| choice["type"] != "null").cloned().unwrap_or_default();
    }
    if let Some(types) = shape.get_mut("type").filter(|types| types.is_array()) {
        *types = types.as_array().and_then(|types| types.iter().find(|one| *one != "null")).cloned().unwrap_or_default();
    }
    if let Some(words) = shape.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
    shape
}

fn responses(operation: &Operation, given: &mut SchemaGenerator) -> Value {
    let mut responses = json!({ "default": { "$ref": "#/components/responses/Problem" } });
    for (status, body) in &operation.gives {
        let mut response = json!({ "description": status.canonical_reason().unwrap_or("Done") });
        if let Some((content_type, shape)) = body {
            response["content"] = json!({ *content_type: { "schema": shape(given) } });
        }
        if operation.is_tagged {
            response["headers"] = json!({ "ETag": { "description": "The revision.", "schema": { "type": "string" } } });
        }
        responses[status.as_str()] = response;
    }
    responses
}

/// As `problem` writes it.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "One sentence that says what to do." },
            "errors": {
                "type": "array",
                "description": "Everything that is wrong, at once.",
                "items": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {
                        "detail": { "type": "string" },
                        "setting": { "type": ["string", "null"], "description": "The name of Exchange's cmdlets." },
                        "key": { "type": ["string", "null"] },
                        "range": { "type": ["string", "null"], "description": "What the setting may be." },
                        "index": { "type": "integer", "description": "Which entry, from 0." },
                        "line": { "type": "integer", "description": "Which line, from 1." },
                    },
                },
            },
            "revision": { "type": "integer", "description": "The present revision, if another was given." },
            "used_by": { "type": "array", "items": { "type": "string" }, "description": "What keeps it from being removed." },
        },
    })
}

fn method(method: MethodFilter) -> &'static str {
    let known = [(MethodFilter::GET, "get"), (MethodFilter::POST, "post"), (MethodFilter::PUT, "put"), (MethodFilter::PATCH, "patch")];
    known.into_iter().find(|(known, _)| *known == method).map_or("delete", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::operation::JSON;

    #[test]
    fn the_document_is_that_of_the_program() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let document = document();
        if std::env::var_os("PUSHGATE_BLESS").is_some() {
            std::fs::write(path, &document).expect("written");
        }
        let copy = std::fs::read_to_string(path).unwrap_or_default();
        assert!(copy == document, "docs/openapi.json is out of date: PUSHGATE_BLESS=1 cargo test --lib openapi");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_an_answer() {
        let operations = super::super::all();
        let names: std::collections::BTreeSet<&str> = operations.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), operations.len());
        for operation in &operations {
            assert!(!operation.gives.is_empty() && operation.doc.ends_with('.'), "{}", operation.name);
            let is_change = operation.takes.is_some_and(|(content_type, _)| content_type == JSON);
            assert!(!is_change || operation.role.is_some(), "{} is open to anybody", operation.name);
        }
    }
}
