//! Whom a command trusts: what is carried, what is installed, and what the command line adds.

use std::fs;
use std::path::{Path, PathBuf};

use inspect::Trust;

use super::installed;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;

/// Whom a command trusts.
#[derive(clap::Args)]
pub(crate) struct Whom {
    /// Trust these roots too: certificates in PEM or DER, or a list of `quell trust update`. A list of Microsoft's
    /// (.stl) beside them limits what they are trusted for
    #[arg(long = "trust-roots", value_name = "FILE")]
    roots: Vec<PathBuf>,
    /// Trust no chain with these certificates: SHA-1 or SHA-256 of one a line
    #[arg(long, value_name = "FILE")]
    disallow: Vec<PathBuf>,
    /// Look up in this catalogue (.cat) files that carry no signature
    #[arg(long, value_name = "FILE")]
    catalogue: Vec<PathBuf>,
    /// A signature beside which bytes lie that it does not cover is not valid
    #[arg(long)]
    strict_padding: bool,
    #[command(flatten)]
    data_dir: DataDir,
}

impl Whom {
    /// What is carried, and what is installed in this data directory.
    #[cfg(test)]
    pub(crate) fn within(data_dir: &Path) -> Self {
        let none = Vec::new;
        let data_dir = DataDir::at(data_dir);
        Self { roots: none(), disallow: none(), catalogue: none(), strict_padding: false, data_dir }
    }

    /// The trust that it means.
    pub(crate) fn trust(&self) -> Result<Trust, Failure> {
        let mut trust = Trust::carried();
        let data_dir = self.data_dir.path();
        if let Some(list) = installed::read(&data_dir)? {
            let path = installed::path(&data_dir);
            trust.add_roots(&[list]).map_err(|why| bad(&path, &why))?;
        }
        let roots = self.roots.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        if let Some(first) = self.roots.first() {
            trust.add_roots(&roots).map_err(|why| bad(first, &why))?;
        }
        for path in &self.disallow {
            let text = String::from_utf8_lossy(&read(path)?).into_owned();
            trust.disallow(&text).map_err(|why| bad(path, &why))?;
        }
        for path in &self.catalogue {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            trust.add_catalogue(&name, read(path)?).map_err(|why| bad(path, &why))?;
        }
        Ok(if self.strict_padding { trust.strict() } else { trust })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display())))
}

fn bad(path: &Path, why: &inspect::BadTrust) -> Failure {
    Failure::new(Exit::Failed, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: &str = include_str!("../../../inspect/data/microsoft-roots.pem");

    #[test]
    fn what_is_installed_and_what_is_named_comes_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.pem");
        fs::write(&file, ROOTS).unwrap();
        let mut whom = Whom::within(dir.path());
        whom.roots.push(file);
        let lists = whom.trust().unwrap().lists();
        assert_eq!(lists.iter().map(|list| list.roots).collect::<Vec<_>>(), [12, 12]);
    }

    #[test]
    fn a_file_that_holds_nothing_to_trust_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own.pem");
        fs::write(&file, "no certificate").unwrap();
        let mut whom = Whom::within(dir.path());
        whom.roots.push(file);
        assert!(whom.trust().unwrap_err().to_string().contains("own.pem holds no certificate"));
        fs::write(installed::path(dir.path()), "QLROOTS1 and no more").unwrap();
        assert!(Whom::within(dir.path()).trust().unwrap_err().to_string().contains("damaged"));
    }
}
