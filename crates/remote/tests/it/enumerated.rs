//! enumerated
