//! The whole product on one host, through its front doors: the shipped binary, the API over HTTP, real files,
//! real processes, real denials.

#![forbid(unsafe_code)]

mod boot;
mod brake;
mod collects;
mod facts;
mod judging;
mod killed;
mod leaving;
mod orders;
mod refusals;
mod restart;
mod services;
mod story;
