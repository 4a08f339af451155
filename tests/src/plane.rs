//! The server's end of a link, and nothing else: stores nothing and agrees to everything. For what is measured
//! of the agent alone.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use model::digest::Sha256;
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{OrganizationId, RuleId};
use wire::link::frame;
use wire::link::v1::{self, down, up};

/// Listens where an agent with this data directory looks for its server, and gives it so many rules that deny.
///
/// # Errors
/// When it can't listen.
pub fn pretend(data_dir: &Path, organization: OrganizationId, rules: u32) -> anyhow::Result<()> {
    let listener = UnixListener::bind(data_dir.join("link.sock"))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // It ends with the connection; the agent makes another one.
            let _ = serve(stream, organization, rules);
        }
    });
    Ok(())
}

fn serve(mut stream: UnixStream, organization: OrganizationId, rules: u32) -> std::io::Result<()> {
    while let Some(v1::Up { message }) = frame::read(&mut stream)? {
        let answer = match message {
            Some(up::Message::Hello(_)) => down::Message::Welcome(v1::Welcome {
                organization: organization.0.as_bytes().to_vec(),
                heartbeat_seconds: 30,
                ..Default::default()
            }),
            Some(up::Message::Sightings(sightings)) => down::Message::SightingsStored(sightings.sequence),
            _ => continue,
        };
        let welcomed = matches!(answer, down::Message::Welcome(_));
        frame::write(&mut stream, &v1::Down { message: Some(answer) })?;
        if welcomed {
            frame::write(&mut stream, &v1::Down { message: Some(down::Message::Rules(whole(rules))) })?;
        }
    }
    Ok(())
}

fn whole(rules: u32) -> v1::Rules {
    let rule = |id: u32| {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&id.to_le_bytes());
        let identifier = Identifier::Sha256(Sha256(digest));
        let id = RuleId(u64::from(id) + 1);
        Rule { id, effect: Effect::Deny, identifier, scope: Scope::Organization, until: None }
    };
    v1::Rules {
        whole: true,
        epoch: 1,
        to: u64::from(rules),
        rules: (0..rules).map(|id| (&rule(id)).into()).collect(),
        chain: vec![0; 32],
        ..Default::default()
    }
}
