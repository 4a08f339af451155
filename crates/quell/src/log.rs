//! What the parts of the program tell of themselves, on stderr.

use tracing_subscriber::EnvFilter;

/// Begins to tell what `QUELL_LOG` asks for (`info`, `agent=debug,server=info`, …); warnings if it is not set.
pub(crate) fn begin() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .with_env_var("QUELL_LOG")
        .from_env_lossy();
    let colours =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
