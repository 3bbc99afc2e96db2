//! Properties of the codec.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::message::{Failure, Head, Request, Response};

/// Values of every kind, lengths on both sides of each border, nested.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let lengths = prop_oneof![30 => 0..20_usize, 2 => 250..260_usize, 1 => 65_530..65_540_usize];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| Value::Int(value >> shift)),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        lengths.clone().prop_map(|length| Value::Bytes(vec![7; length])),
        lengths.prop_map(|length| Value::Text("ä".repeat(length / 2) + &"x".repeat(length % 2))),
        ".*".prop_map(Value::Text),
    ];
    scalar.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::List),
            vec((".{0,3}", inner.clone()), 0..20).prop_map(|pairs| Value::Map(Map(pairs))),
            (any::<u8>(), vec(inner, 0..16))
                .prop_map(|(tag, fields)| Value::Structure(Structure { tag, fields })),
        ]
    })
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn values_come_back_byte_for_byte(value in values()) {
        let bytes = encoded(&value);
        let again = decode_whole(&bytes).unwrap();
        // Compared as bytes: not every float equals itself.
        prop_assert_eq!(encoded(&again), bytes);
    }

    #[test]
    fn each_prefix_needs_more(value in values(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&value);
        let prefix = &bytes[..cut.index(bytes.len())];
        let decoded = decode(prefix);
        assert!(matches!(decoded, Err(Error::NeedMore { .. })));
        let split = Raw::split(prefix);
        assert!(matches!(split, Err(Error::NeedMore { .. })));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..2000)) {
        agree(&bytes);
    }

    /// Heads that announce much, and little behind them.
    #[test]
    fn any_markers_are_a_value_or_an_error(
        bytes in vec(prop_oneof![0x80..0xff_u8, Just(0xd6), Just(0xda), Just(0xce), Just(0xff), Just(0)], 0..500)
    ) {
        agree(&bytes);
    }

    #[test]
    fn raw_values_are_what_they_are_decoded(value in values(), tail in vec(any::<u8>(), 0..20)) {
        let bytes = encoded(&value);
        let longer = [&bytes[..], &tail].concat();
        let (raw, rest) = Raw::split(&longer).unwrap();
        prop_assert_eq!((raw.bytes(), rest), (&bytes[..], &tail[..]));
        let items: Vec<Vec<u8>> = match &value {
            Value::List(items) => items.iter().map(encoded).collect(),
            Value::Structure(structure) => structure.fields.iter().map(encoded).collect(),
            _ => Vec::new(),
        };
        prop_assert_eq!(raw.items().map(|item| item.bytes().to_vec()).collect::<Vec<_>>(), items);
        if let Value::Map(map) = &value {
            for (key, value) in raw.entries().zip(map.iter()).map(|(raw, pair)| (raw.unwrap(), pair)) {
                prop_assert_eq!((key.0, key.1.bytes()), (value.0, &encoded(value.1)[..]));
            }
            prop_assert_eq!(raw.entries().count(), map.len());
        }
    }

    #[test]
    fn requests_come_back(request in requests()) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes).unwrap();
        let mut again = Vec::new();
        Request::decode(&bytes).unwrap().encode(&mut again).unwrap();
        prop_assert_eq!(Head::of(&bytes).unwrap().tag, request.tag());
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn responses_come_back(response in responses()) {
        let mut bytes = Vec::new();
        response.encode(&mut bytes).unwrap();
        let mut again = Vec::new();
        Response::decode(&bytes).unwrap().encode(&mut again).unwrap();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(tag in any::<u8>(), bytes in vec(any::<u8>(), 0..300)) {
        let message = [&[0xb1, tag][..], &bytes].concat();
        let _ = (Request::decode(&message), Response::decode(&message), Response::decode(&bytes));
    }
}

/// The two readers find the same end, and what is decoded and encoded again is the shortest form of the same.
fn agree(bytes: &[u8]) {
    let raw = Raw::split(bytes);
    match decode(bytes) {
        Ok((value, length)) => {
            let (raw, _) = raw.unwrap();
            assert_eq!(raw.bytes().len(), length);
            let shortest = encoded(&value);
            assert!(shortest.len() <= length);
            assert_eq!(encoded(&decode_whole(&shortest).unwrap()), shortest);
        }
        Err(Error::NeedMore { .. }) => assert!(matches!(raw, Err(Error::NeedMore { .. }))),
        Err(_) => {}
    }
}

fn maps() -> impl Strategy<Value = Map> {
    vec((".{0,5}", values()), 0..4).prop_map(Map)
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        maps().prop_map(|extra| Request::Hello { extra }),
        maps().prop_map(|auth| Request::Logon { auth }),
        Just(Request::Logoff),
        Just(Request::Goodbye),
        Just(Request::Reset),
        (".*", maps(), maps()).prop_map(|(statement, parameters, extra)| Request::Run {
            statement,
            parameters,
            extra
        }),
        maps().prop_map(|extra| Request::Begin { extra }),
        Just(Request::Commit),
        Just(Request::Rollback),
        maps().prop_map(|extra| Request::Discard { extra }),
        maps().prop_map(|extra| Request::Pull { extra }),
        (maps(), vec(values(), 0..3), maps()).prop_map(|(context, bookmarks, extra)| Request::Route {
            context,
            bookmarks,
            extra
        }),
        any::<i64>().prop_map(|api| Request::Telemetry { api }),
    ]
}

fn responses() -> impl Strategy<Value = Response> {
    prop_oneof![
        maps().prop_map(Response::Success),
        maps().prop_map(|map| Response::Failure(Failure(map))),
        Just(Response::Ignored),
        vec(values(), 0..5).prop_map(Response::Record),
    ]
}

#[test]
fn each_border_is_written_in_its_shortest_form() {
    for (value, bytes) in [
        (-17, vec![0xc8, 0xef]),
        (-16, vec![0xf0]),
        (127, vec![0x7f]),
        (128, vec![0xc9, 0, 0x80]),
        (-128, vec![0xc8, 0x80]),
        (-129, vec![0xc9, 0xff, 0x7f]),
        (32_768, vec![0xca, 0, 0, 0x80, 0]),
        (i64::from(i32::MIN), vec![0xca, 0x80, 0, 0, 0]),
        (i64::from(i32::MAX) + 1, vec![0xcb, 0, 0, 0, 0, 0x80, 0, 0, 0]),
        (i64::MIN, vec![0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(encoded(&Value::Int(value)), bytes);
    }
    assert_eq!(encoded(&Value::Bytes(vec![9])), [0xcc, 1, 9]);
    assert_eq!(encoded(&Value::Text("x".repeat(16)))[..2], [0xd0, 16]);
    assert_eq!(encoded(&Value::List(vec![Value::Null; 256]))[..3], [0xd5, 1, 0]);
    assert_eq!(encoded(&Value::Bytes(vec![0; 65_536]))[..5], [0xce, 0, 1, 0, 0]);
}

#[test]
fn longer_forms_are_decoded() {
    for bytes in
        [&[0x01][..], &[0xc8, 1], &[0xc9, 0, 1], &[0xca, 0, 0, 0, 1], &[0xcb, 0, 0, 0, 0, 0, 0, 0, 1]]
    {
        assert_eq!(decode_whole(bytes).unwrap(), Value::Int(1));
    }
    for bytes in [&[0x81, 97][..], &[0xd0, 1, 97], &[0xd1, 0, 1, 97], &[0xd2, 0, 0, 0, 1, 97]] {
        assert_eq!(decode_whole(bytes).unwrap(), Value::from("a"));
    }
}

#[test]
fn what_is_no_value_is_named_with_its_place() {
    let error = |bytes: &[u8]| decode(bytes).unwrap_err();
    assert!(matches!(error(&[0x91, 0xc4]), Error::UnknownMarker { at: 1, marker: 0xc4 }));
    assert!(matches!(error(&[0xb1, 0x4e, 0xdf]), Error::UnknownMarker { at: 2, marker: 0xdf }));
    assert!(matches!(error(&[0x92, 0x01, 0x81, 0xff]), Error::NotUtf8 { at: 3 }));
    assert!(matches!(error(&[0xa1, 0x01, 0x01]), Error::KeyNotText { at: 1 }));
}

#[test]
fn duplicate_keys_stay_in_their_order() {
    let bytes = [0xa3, 0x81, b'b', 1, 0x81, b'a', 2, 0x81, b'b', 3];
    let value = decode_whole(&bytes).unwrap();
    assert_eq!(value.as_map().unwrap().get("b"), Some(&Value::Int(1)));
    assert_eq!(encoded(&value), bytes);
}

#[test]
fn what_no_peer_could_read_is_not_written() {
    let mut value = Value::Null;
    for _ in 0..=DEPTH_MAX {
        value = Value::List(vec![value]);
    }
    assert!(matches!(encode(&value, &mut Vec::new()), Err(Error::TooDeep { .. })));
    let wide = Value::Structure(Structure { tag: 1, fields: vec![Value::Null; 16] });
    assert!(matches!(encode(&wide, &mut Vec::new()), Err(Error::NotEncodable { .. })));
}
