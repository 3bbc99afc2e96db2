//! PackStream: how Bolt writes values.
//!
//! A value begins with a marker. Numbers are big-endian; `n` is a length that follows the marker.
//!
//! | value | markers |
//! |---|---|
//! | null, false, true | `C0`, `C2`, `C3` |
//! | integer | `F0`..`7F` (-16 to 127: the byte itself), `C8` i8, `C9` i16, `CA` i32, `CB` i64 |
//! | float | `C1` f64 |
//! | UUID (Bolt 6.1) | `E0`, 16 bytes |
//! | bytes | `CC` n u8, `CD` u16, `CE` u32 |
//! | text, UTF-8 | `80`..`8F`, `D0` n u8, `D1` u16, `D2` u32 |
//! | list | `90`..`9F`, `D4` n u8, `D5` u16, `D6` u32 |
//! | map: text, value, text, value ... | `A0`..`AF`, `D8` n u8, `D9` u16, `DA` u32 |
//! | structure: a tag, then its fields | `B0`..`BF` |
//!
//! Integers, and lengths of everything but structures, have several encodings. [`encode`] writes the shortest, as every
//! server and driver does; all of them are decoded. A float keeps its bits.
//!
//! There are two readers: [`decode`] makes a [`Value`]; [`Raw`] is one whole value in borrowed bytes, of which as much is
//! looked at as is asked for.

mod decode;
mod encode;
mod raw;
mod token;
mod value;

pub use decode::{DEPTH_MAX, decode, decode_whole};
pub use encode::encode;
pub(crate) use encode::{encode_integer, encode_list_length, encode_map, encode_structure_head, encode_text};
pub use raw::{Entries, Items, Raw};
pub use token::{Reader, Token};
pub use value::{Map, Structure, Value};

#[cfg(test)]
mod tests;
