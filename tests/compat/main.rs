//! The wire, as the contract's documents and its clients have it: the shipped binary is called over HTTP, byte
//! by byte, and its answers are held against the seeds' examples and against what each client reads of them.

#![forbid(unsafe_code)]

mod http;
mod shape;
mod world;

mod blocks;
mod clients;
mod hostile;
mod limits;
mod quarantines;
mod refusals;
mod seeds;
mod spelling;
mod tokens;
