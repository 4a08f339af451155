//! Where the API is served.

use std::net::SocketAddr;

/// Where it is served when nobody says otherwise.
pub(super) const DEFAULT: &str = "127.0.0.1:8440";

/// Reads an address. Tokens and secrets travel over it in the clear, so it must not leave the machine.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = named
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("give an address and a port, such as {DEFAULT} or [::1]:8440"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "{} is not a loopback address, and Quell does not speak TLS yet: tokens and secrets would cross the \
         network in the clear. Serve on {DEFAULT} and put a proxy that speaks TLS in front of it",
        address.ip()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_without_tls() {
        for text in [DEFAULT, "127.1.2.3:0", "[::1]:8440", "localhost:9"] {
            assert!(parse(text).unwrap().ip().is_loopback(), "{text}");
        }
        for text in ["0.0.0.0:8440", "[::]:8440", "192.0.2.7:80"] {
            assert!(parse(text).unwrap_err().contains("TLS"), "{text}");
        }
        for text in ["", "8440", "127.0.0.1", "host:80"] {
            assert!(parse(text).unwrap_err().contains(DEFAULT), "{text}");
        }
    }
}
