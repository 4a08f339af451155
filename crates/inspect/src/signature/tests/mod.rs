//! Signatures made for the tests, and every way in which one may be wrong.
