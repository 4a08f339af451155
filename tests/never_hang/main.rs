//! Whatever stands still, dies or is full: whoever runs a program goes on, soon.
//!
//! Each case prints how long an exec took at the worst. Promised are 250 ms; asserted is a second, as the machine
//! that runs this may be busy with other things.

#![forbid(unsafe_code)]

mod freezer;
mod openers;
mod stage;
mod watchdog;

mod crash_loop;
mod faults;
mod flood;
mod full;
mod holes;
mod late;
mod lever;
mod stalling;
mod upgrade;
