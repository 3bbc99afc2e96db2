//! Points, in two or three dimensions.

use super::structure;
use crate::packstream::Value;

const POINT_2D: u8 = b'X';
const POINT_3D: u8 = b'Y';

/// `srid`: 7203 and 9157 Cartesian, 4326 and 4979 WGS-84.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub srid: i64,
    pub x: f64,
    pub y: f64,
    pub z: Option<f64>,
}

impl Point {
    pub fn of(value: &Value) -> Option<Self> {
        if let Some([Value::Int(srid), Value::Float(x), Value::Float(y)]) = value.fields_of(POINT_2D) {
            return Some(Self { srid: *srid, x: *x, y: *y, z: None });
        }
        let [Value::Int(srid), Value::Float(x), Value::Float(y), Value::Float(z)] =
            value.fields_of(POINT_3D)?
        else {
            return None;
        };
        Some(Self { srid: *srid, x: *x, y: *y, z: Some(*z) })
    }
}

impl From<Point> for Value {
    fn from(Point { srid, x, y, z }: Point) -> Self {
        match z {
            None => structure(POINT_2D, [srid.into(), x.into(), y.into()]),
            Some(z) => structure(POINT_3D, [srid.into(), x.into(), y.into(), z.into()]),
        }
    }
}
