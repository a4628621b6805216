//! `!reset` and `!override` as Compose applies them: the values of earlier files at that place are dropped.
//!
//! This is for finding what the files name. Digests are made of the files as they are.

use crate::model::yaml::{Node, Value};

/// The listed files, in their order, as far as what they say is not dropped by themselves or a later one. Less is
/// dropped than Compose drops: an item of a list stays.
pub fn dropped(files: &[&Node]) -> Vec<Node> {
    let mut left: Vec<Node> = Vec::new();
    for file in files {
        let mut paths = Vec::new();
        let file = resolved(file, &mut Vec::new(), &mut paths)
            .unwrap_or_else(|| Node { value: Value::Null, ..(*file).clone() });
        for earlier in &mut left {
            paths.iter().for_each(|path| drop_at(earlier, path));
        }
        left.push(file);
    }
    left
}

/// A file without what it resets, and the paths at which it resets or overrides.
fn resolved<'n>(node: &'n Node, path: &mut Vec<&'n str>, paths: &mut Vec<Vec<&'n str>>) -> Option<Node> {
    match node.tag.as_deref() {
        Some("!reset") => {
            paths.push(path.clone());
            return None;
        }
        // Its value is taken unchanged.
        Some("!override") => {
            paths.push(path.clone());
            return Some(untagged(node));
        }
        Some(_) | None => {}
    }
    let value = match &node.value {
        Value::List(items) => {
            let mut left = Vec::new();
            for item in items {
                // Its own tags count; at which place of an earlier list they would, does not.
                left.extend(resolved(item, &mut Vec::new(), &mut Vec::new()));
            }
            Value::List(left)
        }
        Value::Map(entries) => {
            let mut left = Vec::new();
            for (key, value) in entries {
                path.push(&key.name);
                left.extend(resolved(value, path, paths).map(|value| (key.clone(), value)));
                path.pop();
            }
            Value::Map(left)
        }
        Value::Null | Value::Text(_) | Value::Plain(_) => node.value.clone(),
    };
    Some(Node { value, ..node.clone() })
}

fn untagged(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(untagged).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), untagged(value))).collect()),
        Value::Null | Value::Text(_) | Value::Plain(_) => node.value.clone(),
    };
    Node { tag: None, value, ..*node }
}

fn drop_at(node: &mut Node, path: &[&str]) {
    let Value::Map(entries) = &mut node.value else { return };
    match path {
        [] => entries.clear(),
        [last] => entries.retain(|(key, _)| key.name != *last),
        [first, rest @ ..] => {
            entries.iter_mut().filter(|(key, _)| key.name == *first).for_each(|(_, value)| drop_at(value, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml;

    #[test]
    fn reset_removes_and_override_replaces() {
        let read = |text: &str| yaml::read_compose(text.as_bytes()).unwrap();
        let one = read("services: {a: {image: x, ports: [1], volumes: [v], environment: {A: 1, B: 2}}, b: {image: y}}");
        let two = read(
            "services: {a: {ports: !reset [], volumes: !override [w, !reset x], environment: {A: !reset null}, command: [!reset c, d]}, b: !reset null}",
        );
        let left = dropped(&[&one, &two]);
        let json: Vec<String> = left.iter().map(|file| file.to_json().to_string()).collect();
        assert_eq!(json[0], r#"{"services":{"a":{"environment":{"B":{"!":"2"}},"image":"x"}}}"#);
        assert_eq!(json[1], r#"{"services":{"a":{"command":["d"],"environment":{},"volumes":["w","x"]}}}"#);
    }
}
