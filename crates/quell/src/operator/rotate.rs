//! `quell operator key rotate`: another key follows, by the signature of the one before. Cut short at any point, it goes on
//! where it was when it is run again: the new key is on the disk before the server hears of it, and the old one until after.

use std::path::{Path, PathBuf};

use serde_json::json;
use server::operator::{OperatorKey, fingerprint};
use wire::link::holds::key_change_text;

use crate::client::comment::Comment;
use crate::client::{Answer, Api, text};
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

use super::key::{read, remove};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The private half of the key of now [default: operator-key.pem in the data directory]
    #[arg(long, value_name = "FILE", requires = "to")]
    key: Option<PathBuf>,
    /// Where the private half of the new one is put: a new file, or a key that was made before [default: in the place of the
    /// old one, in the data directory]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    comment: Comment,
}

pub(super) fn run(api: &Api, args: Args, format: Format) -> Result<(), Failure> {
    let data_dir = args.data_dir.path();
    let ours = OperatorKey::path(&data_dir);
    let old_place = args.key.clone().unwrap_or_else(|| ours.clone());
    let new_place = args.to.clone().unwrap_or_else(|| OperatorKey::next_path(&data_dir));
    let comment = args.comment.words()?;
    let old = read(&old_place)?;
    let now = api.get("/api/quell/operator-key")?;
    let (new, is_fresh) = next(&new_place, &old)?;
    let is_done = text(&now.json, "public") == hex(&new);
    let answer = if is_done {
        now
    } else {
        follow(api, &now, (&old_place, &old), (&new_place, &new, is_fresh), comment)?
    };
    // From here on the old one is of no use to anybody.
    if args.to.is_none() {
        OperatorKey::settle_next(&data_dir).map_err(|error| {
            unfinished(format!("cannot put the new key in the place of the old one: {error}"))
        })?;
    } else if args.key.is_none() {
        remove(&ours).map_err(|error| unfinished(format!("cannot remove {}: {error}", ours.display())))?;
    }
    let place = args.to.as_ref().unwrap_or(&ours);
    tell(&answer, &new, place, format);
    if args.key.is_some() {
        say::aside(format!("{} counts no more: destroy it", old_place.display()));
    }
    Ok(())
}

/// The key that is to follow, and whether it was made now.
fn next(place: &Path, old: &OperatorKey) -> Result<(OperatorKey, bool), Failure> {
    if place.try_exists().unwrap_or(true) {
        let new = read(place)?;
        if new.public() == old.public() {
            return Err(Failure::usage(format!("{} holds the key of now", place.display()))
                .hint("name a file that is not there yet: --to FILE"));
        }
        say::aside(format!("{} is there already and is the one that follows", place.display()));
        return Ok((new, false));
    }
    let new = OperatorKey::new()?;
    new.write(place)?;
    Ok((new, true))
}

/// Brings the change to the server. A key that was made for nothing is not left behind; one of which nobody knows whether it
/// counts is.
fn follow(
    api: &Api,
    now: &Answer,
    (old_place, old): (&Path, &OperatorKey),
    (new_place, new, is_fresh): (&Path, &OperatorKey, bool),
    comment: String,
) -> Result<Answer, Failure> {
    let done = if text(&now.json, "public") == hex(old) {
        let organization = text(&now.json, "organization").parse().map_err(|_| {
            Failure::new(Exit::Failed, "the server does not say whose key it is").hint("upgrade the server")
        })?;
        let change = key_change_text(&old.sign_change(organization, &new.public()));
        let body = json!({ "Change": change, "Comment": comment });
        api.post("/api/quell/operator-key", &body)
    } else {
        let (held, counts) = (fingerprint(&old.public()), text(&now.json, "fingerprint"));
        let message = format!("{} holds {held}, and the operator key is {counts}", old_place.display());
        Err(Failure::new(Exit::Refused, message).hint("name the file that holds that one: --key FILE"))
    };
    done.map_err(|failure| {
        let is_final = !matches!(failure.exit, Exit::Unreachable | Exit::Failed | Exit::Interrupted);
        if is_fresh && is_final {
            // It has never counted.
            let _ = std::fs::remove_file(new_place);
            return failure;
        }
        if is_final {
            return failure;
        }
        failure.hint(format!(
            "keep {} and {}: run the same command again, and it goes on with them",
            old_place.display(),
            new_place.display()
        ))
    })
}

fn unfinished(message: String) -> Failure {
    Failure::new(Exit::Failed, message)
        .hint("the new key counts already: run the same command again, and it goes on")
}

fn tell(answer: &Answer, new: &OperatorKey, place: &Path, format: Format) {
    let name = fingerprint(&new.public());
    let (machines, without) = (text(&answer.json, "machines"), text(&answer.json, "machinesWithout"));
    match format {
        Format::Json => say::out(json!({
            "fingerprint": name, "public": hex(new), "privateHalf": place.display().to_string(),
        })),
        Format::Table => {
            say::out(format!(
                "fingerprint  {name}\npublic half  {}\nprivate half {}",
                hex(new),
                place.display()
            ));
            say::aside(format!(
                "machines take it over when they hear of it, which those that are away do when they attach; {machines} had it \
                 when the server answered, {without} had not: `quell machine show` says which key each takes"
            ));
        }
    }
}

fn hex(key: &OperatorKey) -> String {
    data_encoding::HEXLOWER.encode(&key.public())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    use clap::Parser;
    use model::OrganizationId;
    use serde_json::Value;
    use wire::link::holds::key_change_of_text;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// What becomes of a change.
    #[derive(Clone, Copy, PartialEq)]
    enum Answers {
        Taken,
        /// It counts, and the answer is lost.
        Lost,
        Refused,
        /// The server dies before it counts.
        Dies,
    }

    /// A server that knows one key.
    struct Plane {
        organization: OrganizationId,
        public: String,
        answers: Answers,
        changes: usize,
    }

    impl Plane {
        fn serve(key: &OperatorKey, answers: Answers) -> (Arc<Mutex<Self>>, Api) {
            let organization = OrganizationId::random();
            let plane = Self { organization, public: hex(key), answers, changes: 0 };
            let plane = Arc::new(Mutex::new(plane));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let api = Api::of_test(format!("http://{}", listener.local_addr().unwrap()));
            let theirs = Arc::clone(&plane);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    theirs.lock().unwrap().answer(stream.unwrap());
                }
            });
            (plane, api)
        }

        fn answer(&mut self, mut stream: TcpStream) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).unwrap() > 2 {
                let last = head.lines().last().unwrap_or_default().to_lowercase();
                if let Some(value) = last.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (mut status, mut answer) = ("200 OK", json!({ "access_token": "token" }));
            if head.contains("/api/quell/operator-key") {
                if head.starts_with("POST") {
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    let change = key_change_of_text(body["Change"].as_str().unwrap()).unwrap();
                    if matches!(self.answers, Answers::Taken | Answers::Lost) {
                        self.public = data_encoding::HEXLOWER.encode(&change.to);
                        self.changes += 1;
                    }
                    match self.answers {
                        Answers::Lost | Answers::Dies => return,
                        Answers::Refused => status = "400 Bad Request",
                        Answers::Taken => {}
                    }
                }
                answer = json!({ "public": self.public, "organization": self.organization.to_string(),
                                 "fingerprint": "f", "machines": 1, "machinesWithout": 0 });
                if status != "200 OK" {
                    answer = json!({ "error": { "code": "KeyChangeRefused", "message": "no" } });
                }
            }
            let body = answer.to_string();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    }

    fn rotates(api: &Api, more: &[&str]) -> Result<(), Failure> {
        let line = ["rotate", "--comment", "yearly"].iter().chain(more);
        run(api, Line::try_parse_from(line).unwrap().args, Format::Json)
    }

    fn holds(path: &Path) -> String {
        hex(&OperatorKey::read(path).unwrap())
    }

    #[test]
    fn whatever_is_cut_short_goes_on_when_it_is_run_again() {
        for answers in [Answers::Taken, Answers::Lost, Answers::Dies] {
            let dir = tempfile::tempdir().unwrap();
            let (place, next) = (OperatorKey::path(dir.path()), OperatorKey::next_path(dir.path()));
            let old = OperatorKey::new().unwrap();
            old.write(&place).unwrap();
            let (plane, api) = Plane::serve(&old, answers);
            let data_dir = ["--data-dir", dir.path().to_str().unwrap()];
            let done = rotates(&api, &data_dir);
            assert_eq!(done.is_ok(), answers == Answers::Taken);
            if done.is_err() {
                assert!(holds(&place) == hex(&old) && next.exists(), "both are kept");
                plane.lock().unwrap().answers = Answers::Taken;
                rotates(&api, &data_dir).unwrap();
            }
            let plane = plane.lock().unwrap();
            assert_eq!((holds(&place), plane.changes), (plane.public.clone(), 1));
            assert!(holds(&place) != hex(&old) && !next.exists());
        }
    }

    #[test]
    fn a_refused_one_leaves_no_key_behind_and_another_place_takes_the_old_one_away() {
        let dir = tempfile::tempdir().unwrap();
        let (place, usb) = (OperatorKey::path(dir.path()), dir.path().join("usb"));
        let old = OperatorKey::new().unwrap();
        old.write(&place).unwrap();
        let (plane, api) = Plane::serve(&old, Answers::Refused);
        let (data_dir, to) = (dir.path().to_str().unwrap(), usb.to_str().unwrap());
        let there = ["--data-dir", data_dir, "--to", to];
        assert_eq!(rotates(&api, &there).unwrap_err().exit, Exit::Refused);
        assert!(!usb.exists() && holds(&place) == hex(&old));
        plane.lock().unwrap().answers = Answers::Taken;
        rotates(&api, &there).unwrap();
        assert!(!place.exists(), "who steals the server finds nothing");
        assert_eq!(holds(&usb), plane.lock().unwrap().public);
        // Another key than the machines know is told by name, and nothing is made.
        let (stray, new) = (dir.path().join("stray"), dir.path().join("new"));
        OperatorKey::new().unwrap().write(&stray).unwrap();
        let stray = ["--key", stray.to_str().unwrap(), "--to", new.to_str().unwrap()];
        assert_eq!(rotates(&api, &stray).unwrap_err().exit, Exit::Refused);
        assert!(!new.exists());
    }
}
