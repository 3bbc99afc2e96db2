//! Nodes, relationships, paths. An element id is what to name one by; servers before 5.0 have numbers only.

use crate::packstream::{Map, Value};

const NODE: u8 = b'N';
const RELATIONSHIP: u8 = b'R';
/// A relationship within a path, without its ends.
const UNBOUND: u8 = b'r';
const PATH: u8 = b'P';

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node<'a> {
    pub id: i64,
    pub labels: &'a [Value],
    pub properties: &'a Map,
    pub element_id: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relationship<'a> {
    pub id: i64,
    /// Number and element id; absent within a path.
    pub start: Option<(i64, Option<&'a str>)>,
    pub end: Option<(i64, Option<&'a str>)>,
    pub kind: &'a str,
    pub properties: &'a Map,
    pub element_id: Option<&'a str>,
}

/// A node, then steps from each node to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Path<'a> {
    pub start: Node<'a>,
    pub steps: Vec<Step<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<'a> {
    pub relationship: Relationship<'a>,
    /// Whether the path goes against the relationship's own direction.
    pub backwards: bool,
    pub to: Node<'a>,
}

impl<'a> Node<'a> {
    pub fn of(value: &'a Value) -> Option<Self> {
        let (fields, element_id) = match value.fields_of(NODE)? {
            [fields @ .., element_id] if fields.len() == 3 => (fields, Some(element_id.as_text()?)),
            fields => (fields, None),
        };
        let [Value::Int(id), Value::List(labels), Value::Map(properties)] = fields else { return None };
        labels.iter().all(|label| label.as_text().is_some()).then_some(Self {
            id: *id,
            labels,
            properties,
            element_id,
        })
    }

    pub fn labels(&self) -> impl Iterator<Item = &'a str> {
        self.labels.iter().filter_map(Value::as_text)
    }
}

impl<'a> Relationship<'a> {
    /// On its own, or within a path.
    pub fn of(value: &'a Value) -> Option<Self> {
        Self::bound(value.fields_of(RELATIONSHIP)).or_else(|| Self::unbound(value.fields_of(UNBOUND)))
    }

    fn bound(fields: Option<&'a [Value]>) -> Option<Self> {
        let (fields, names) = match fields? {
            [fields @ .., element, start, end] if fields.len() == 5 => (fields, [element, start, end]),
            fields => (fields, [&Value::Null; 3]),
        };
        let [Value::Int(id), Value::Int(start), Value::Int(end), Value::Text(kind), Value::Map(properties)] =
            fields
        else {
            return None;
        };
        let [element_id, start_name, end_name] = names.map(Value::as_text);
        let (start, end) = (Some((*start, start_name)), Some((*end, end_name)));
        Some(Self { id: *id, start, end, kind, properties, element_id })
    }

    fn unbound(fields: Option<&'a [Value]>) -> Option<Self> {
        let (fields, element_id) = match fields? {
            [fields @ .., element] if fields.len() == 3 => (fields, Some(element.as_text()?)),
            fields => (fields, None),
        };
        let [Value::Int(id), Value::Text(kind), Value::Map(properties)] = fields else { return None };
        Some(Self { id: *id, start: None, end: None, kind, properties, element_id })
    }
}

impl<'a> Path<'a> {
    /// A path comes as its distinct nodes, its distinct relationships, and pairs of indexes into them: the
    /// relationship (from 1, negative: backwards), the node it leads to (from 0). It begins with node 0.
    pub fn of(value: &'a Value) -> Option<Self> {
        let [Value::List(nodes), Value::List(relationships), Value::List(indexes)] = value.fields_of(PATH)?
        else {
            return None;
        };
        let step = |pair: &[Value]| {
            let [Value::Int(relationship), Value::Int(node)] = pair else { return None };
            let place = usize::try_from(relationship.unsigned_abs()).ok()?.checked_sub(1)?;
            Some(Step {
                relationship: Relationship::of(relationships.get(place)?)?,
                backwards: *relationship < 0,
                to: Node::of(nodes.get(usize::try_from(*node).ok()?)?)?,
            })
        };
        let steps = indexes.chunks(2).map(step).collect::<Option<_>>()?;
        Some(Self { start: Node::of(nodes.first()?)?, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::structure;

    fn node(id: i64) -> Value {
        structure(
            NODE,
            [id.into(), Value::List(vec!["A".into()]), Map::new().into(), format!("e:{id}").into()],
        )
    }

    #[test]
    fn a_node_of_an_old_server_has_no_element_id() {
        let old = structure(NODE, [1.into(), Value::List(vec![]), Map::new().with("a", 1).into()]);
        assert_eq!(Node::of(&old).map(|node| (node.id, node.element_id)), Some((1, None)));
        let new = node(2);
        assert_eq!(Node::of(&new).unwrap().element_id, Some("e:2"));
        assert_eq!(Node::of(&new).unwrap().labels().collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn a_path_goes_by_its_indexes() {
        let relationship = structure(UNBOUND, [7.into(), "T".into(), Map::new().into(), "e:7".into()]);
        let path = |indexes: Vec<Value>| {
            structure(
                PATH,
                [
                    Value::List(vec![node(1), node(2)]),
                    Value::List(vec![relationship.clone()]),
                    indexes.into(),
                ],
            )
        };
        let there_and_back = path(vec![1.into(), 1.into(), (-1).into(), 0.into()]);
        let view = Path::of(&there_and_back).unwrap();
        let steps: Vec<_> = view.steps.iter().map(|step| (step.backwards, step.to.id)).collect();
        assert_eq!((view.start.id, steps), (1, vec![(false, 2), (true, 1)]));
        for wrong in [vec![0, 1], vec![2, 1], vec![1, 2], vec![1], vec![i64::MIN, 0], vec![1, -1]] {
            assert_eq!(Path::of(&path(wrong.into_iter().map(Value::from).collect())), None);
        }
    }
}
