//! A command for the guest: how the host writes it down, and how the guest reads it.

use std::path::Path;

use anyhow::{Context, Result};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// What a person calls it.
    pub(crate) name: String,
    /// Program and arguments.
    pub(crate) arguments: Vec<String>,
    /// Added to a small environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Seconds after which it is killed.
    pub(crate) seconds: u32,
}

impl Order {
    /// Its files, by name. Texts end with a zero byte each, which none of them can hold.
    pub(crate) fn files(&self) -> [(&'static str, String); 3] {
        let ended =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text + "\0").collect::<String>();
        let mut environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        [
            ("arguments", ended(&mut self.arguments.iter().cloned())),
            ("environment", ended(&mut environment)),
            ("seconds", self.seconds.to_string()),
        ]
    }

    /// Reads what [`Order::files`] wrote, but for the name.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let texts = |name: &str| -> Result<Vec<String>> {
            let text = std::fs::read_to_string(directory.join(name))
                .with_context(|| format!("cannot read {name} of {}", directory.display()))?;
            Ok(text.split_terminator('\0').map(str::to_owned).collect())
        };
        let pairs = texts("environment")?;
        let split =
            |pair: &String| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self {
            name: String::new(),
            arguments: texts("arguments")?,
            environment: pairs.iter().filter_map(split).collect(),
            seconds: std::fs::read_to_string(directory.join("seconds"))?.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let order = Order {
            name: String::new(),
            arguments: ["sh", "-c", "echo 'a b'\nexit 3", ""].map(str::to_owned).to_vec(),
            environment: vec![("EMPTY".to_owned(), String::new()), ("SUM".to_owned(), "1=1".to_owned())],
            seconds: 30,
        };
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in order.files() {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        assert_eq!(Order::read(directory.path()).unwrap(), order);
    }
}
