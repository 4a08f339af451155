//! How a server is told what to be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything durable is.
    pub data_dir: PathBuf,
    /// Where the API is served; loopback, as it is plain HTTP.
    pub listen: SocketAddr,
    /// The local socket by which this machine's agent reaches the server.
    pub link_socket: PathBuf,
    /// How many calls an application may make.
    pub rate_limit: RateLimit,
    /// Under which scheme and host callers reach us, when something stands in front of us.
    pub public_url: Option<String>,
    /// How much of samples may be kept.
    pub samples: crate::samples::Limits,
    /// This machine's name.
    pub host_name: String,
}

/// How many calls an application may make to each API of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RateLimit {
    /// As the contract says: 100 a minute, 1500 an hour.
    #[default]
    Default,
    /// As many as it likes.
    Off,
    /// So many.
    Calls {
        /// In any minute.
        per_minute: u32,
        /// In any hour.
        per_hour: u32,
    },
}

/// The text is no rate limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate limit: say `default`, `off`, or calls a minute and an hour as in `100/min,1500/h`")]
pub struct InvalidRateLimit(String);

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        match text {
            "default" => Ok(Self::Default),
            "off" => Ok(Self::Off),
            _ => calls(text).ok_or_else(|| InvalidRateLimit(text.to_owned())),
        }
    }
}

fn calls(text: &str) -> Option<RateLimit> {
    let (minute, hour) = text.split_once(',')?;
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    Some(RateLimit::Calls {
        per_minute: number(minute.trim().strip_suffix("/min")?)?,
        per_hour: number(hour.trim().strip_suffix("/h")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_as_documented() {
        assert_eq!("default".parse(), Ok(RateLimit::Default));
        assert_eq!("off".parse(), Ok(RateLimit::Off));
        assert_eq!("20/min,300/h".parse(), Ok(RateLimit::Calls { per_minute: 20, per_hour: 300 }));
        for text in ["", "on", "20", "20/min", "20/h,300/min", "0/min,1/h", "-1/min,1/h", "1/min,1/h,"] {
            assert!(text.parse::<RateLimit>().is_err(), "{text}");
        }
    }
}
