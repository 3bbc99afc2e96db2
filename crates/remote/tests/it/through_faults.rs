//! through_faults
