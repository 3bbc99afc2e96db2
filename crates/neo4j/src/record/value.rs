//! Property values as they are stored: nothing of type, precision or zone is lost.

/// A value. Borrowed parts are of the record, or of the scratch space of whoever decodes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Byte(i8),
    Short(i16),
    /// A UTF-16 unit.
    Char(u16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Point(Point),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds of the day.
    LocalTime(i64),
    /// Nanoseconds of the local day, seconds east of UTC.
    Time {
        nanos: i64,
        offset: i32,
    },
    /// Seconds since 1970 on a clock without zone.
    LocalDateTime {
        seconds: i64,
        nanos: i32,
    },
    /// Seconds since 1970, UTC.
    DateTime {
        seconds: i64,
        nanos: i32,
        zone: Zone,
    },
    Duration {
        months: i64,
        days: i64,
        seconds: i64,
        nanos: i32,
    },
    /// All items are of one type.
    List(Vec<Value<'a>>),
}

/// Where the clock of a datetime hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    /// A name of the time zone database.
    Named(&'static str),
}

/// Two or three coordinates; what they mean is said by table and code (EPSG 4326 and 4979, SR-ORG 7203 and 9157).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub table: u8,
    pub code: u16,
    pub dimension: u8,
    pub coordinates: [f64; 3],
}

/// Bytes that are no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("it has type {0}, which is not known")]
    UnknownType(u8),
    #[error("its items have type {0}, which is not known")]
    UnknownItemType(u8),
    #[error("it has {blocks} blocks of which {left} are there")]
    TooLong { blocks: usize, left: usize },
    #[error("its bytes end within it")]
    TooShort,
    #[error("it is a text in encoding {0}, which is not known")]
    UnknownEncoding(u8),
    #[error("it is a text that is not UTF-8")]
    NotUtf8,
    #[error("it has time kind {0}, which is not known")]
    UnknownTimeKind(u8),
    #[error("it names time zone {0}, which is not known")]
    UnknownZone(u64),
    #[error("its {what} is {value}, which cannot be")]
    OutOfRange { what: &'static str, value: i64 },
    #[error("it is a point with {0} dimensions")]
    Dimensions(u8),
}

impl Point {
    pub fn new(table: u8, code: u16, coordinates: &[f64]) -> Result<Self, ValueError> {
        let dimension = u8::try_from(coordinates.len()).unwrap_or(u8::MAX);
        let mut all = [0.0; 3];
        match coordinates {
            [_, _] | [_, _, _] => all[..coordinates.len()].copy_from_slice(coordinates),
            _ => return Err(ValueError::Dimensions(dimension)),
        }
        let dimension_of_code = match (table, code) {
            (1, 4326) | (2, 7203) => 2,
            (1, 4979) | (2, 9157) => 3,
            _ => return Err(ValueError::OutOfRange { what: "coordinate system", value: i64::from(code) }),
        };
        if dimension_of_code != dimension {
            return Err(ValueError::Dimensions(dimension));
        }
        Ok(Self { table, code, dimension, coordinates: all })
    }

    pub fn coordinates(&self) -> &[f64] {
        &self.coordinates[..usize::from(self.dimension)]
    }
}
