//! Roads by which a denied file might run.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use sys::bpf::{Hook, Outcome};

use crate::arena::{Arena, EPERM, Kind, command, content, ended, map, memfd, output, run, run_fd};

#[test]
fn by_whatever_name_on_tmpfs() {
    by_whatever_name(Kind::Tmpfs);
}

#[test]
fn by_whatever_name_on_ext4() {
    by_whatever_name(Kind::Ext4);
}

fn by_whatever_name(kind: Kind) {
    let Some(mut arena) = Arena::enter(kind) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    assert_eq!((run(&bad), run(&good)), (Ok(0), Ok(0)));
    arena.deny(&[&bad]);
    arena.events();
    assert_eq!((run(&bad), run(&good)), (Err(EPERM), Ok(0)));
    let told = arena.events();
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.outcome, event.hook, event.rule), (Outcome::Denied, Hook::Exec, 1));
    assert_eq!(event.content, Some(content(&bad)));
    assert_eq!(event.path, bad.as_os_str().as_encoded_bytes());
    assert_eq!((event.copy.device, event.copy.inode), (arena.device(), crate::arena::inode(&bad)));
    assert!(event.process > 0 && event.user == 0 && event.size == fs::metadata(&bad).unwrap().len());

    fs::hard_link(&bad, arena.path("link")).unwrap();
    symlink(&bad, arena.path("symlink")).unwrap();
    fs::copy(&bad, arena.path("copy")).unwrap();
    let held = File::open(&bad).unwrap();
    for name in ["link", "symlink", "copy"] {
        assert_eq!(run(&arena.path(name)), Err(EPERM), "{name}");
    }
    fs::rename(&bad, arena.path("renamed")).unwrap();
    assert_eq!(run(&arena.path("renamed")), Err(EPERM));
    fs::remove_file(arena.path("renamed")).unwrap();
    fs::remove_file(arena.path("link")).unwrap();
    assert_eq!(run_fd(&held), Err(EPERM), "deleted");
    assert_eq!(execveat(&held), EPERM, "execveat");
    assert_eq!(run(&good), Ok(0));
}

/// The error of `execveat` with an empty path.
fn execveat(file: &File) -> i32 {
    let arguments = [c"x".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both lists end with null; the call does not return only if it succeeds, and then the test fails, as
    // this process is another program.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

#[test]
fn without_a_name() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    arena.everywhere();
    arena.deny(&[&bad]);
    let bytes = fs::read(&bad).unwrap();
    assert_eq!(run_fd(&memfd(&bytes)), Err(EPERM), "memfd");
    assert_eq!(run_fd(&memfd(&fs::read(&good).unwrap())), Ok(0), "memfd");
    let mut unnamed = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o755)
        .custom_flags(libc::O_TMPFILE)
        .open(arena.root())
        .unwrap();
    std::io::Write::write_all(&mut unnamed, &bytes).unwrap();
    // Whoever has it open for writing keeps it from running; so a reader is opened, and the writer closed.
    let reader = File::open(format!("/proc/self/fd/{}", unnamed.as_raw_fd())).unwrap();
    drop(unnamed);
    assert_eq!(run_fd(&reader), Err(EPERM), "O_TMPFILE");
}

#[test]
fn elsewhere_mounted() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let bad = arena.program("bad", "bad");
    let good = arena.program("good", "good");
    arena.deny(&[&bad]);
    let shell = |script: &str| {
        let out = output(command("unshare").args(["-m", "sh", "-ec", script]).current_dir(arena.root()));
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let denied = |(code, said): (Option<i32>, String)| {
        assert!(code == Some(126) && said.contains("not permitted"), "{code:?} {said}");
    };
    denied(shell("mkdir -p m && mount --bind . m && exec ./m/bad"));
    // Overlays of a guarded lower directory, and after copy-up; guarded by what lies below.
    let overlay = "mkdir -p o && mount -t tmpfs x o && mkdir o/u o/w o/m && \
                   mount -t overlay x o/m -o lowerdir=$PWD,upperdir=o/u,workdir=o/w";
    denied(shell(&format!("{overlay} && exec o/m/bad")));
    denied(shell(&format!("{overlay} && o/m/good && exec o/m/bad")));
    assert_eq!(
        shell(&format!("{overlay} && o/m/good && o/m/good && chmod 755 o/m/good && exec o/m/good")).0,
        Some(0)
    );
    arena.everywhere();
    arena.deny(&[&bad]);
    let shell = |script: &str| {
        let out = output(command("unshare").args(["-m", "sh", "-ec", script]).current_dir(arena.root()));
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    denied(shell(&format!("{overlay} && chmod 700 o/m/bad && exec o/m/bad")));
    denied(shell(&format!("{overlay} && o/m/good && cat bad > o/m/good && exec o/m/good")));
    denied(shell("mkdir -p t && mount -t tmpfs x t && cp bad t/x && exec t/x"));
    let out = output(
        command("unshare")
            .args(["-Urm", "sh", "-ec", "mkdir -p t && mount -t tmpfs x t && cp bad t/x && exec t/x"])
            .current_dir(arena.root()),
    );
    denied((out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned()));
    assert_eq!(run(&good), Ok(0));
}

#[test]
fn by_the_loader_and_as_a_library() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    let library = fs::read_to_string("/proc/self/maps").unwrap();
    let library = library
        .lines()
        .find_map(|line| line.split_whitespace().last().filter(|path| path.contains("libc.so")));
    let library = library.expect("this program is linked with libc");
    let bad_library = arena.copy(library, "bad.so", "bad");
    let good_library = arena.copy(library, "good.so", "good");
    arena.deny(&[&bad, &bad_library]);
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    assert_eq!(ended(command(loader).arg(&good)), Ok(0));
    let refused = output(command(loader).arg(&bad));
    assert!(!refused.status.success(), "{refused:?}");
    let preloaded = |library: &Path| {
        let out = output(command("/bin/true").env("LD_PRELOAD", library));
        assert!(out.status.success());
        out.stderr.is_empty()
    };
    assert!(preloaded(&good_library) && !preloaded(&bad_library));
    let bad_program = File::open(&bad).unwrap();
    assert_eq!(map(&bad_program), Err(EPERM));
    assert_eq!(map(&File::open(&good).unwrap()), Ok(()));
    let hooks: Vec<_> = arena.events().iter().map(|event| (event.outcome, event.hook)).collect();
    assert!(hooks.iter().all(|told| *told == (Outcome::Denied, Hook::Map)) && hooks.len() == 3, "{hooks:?}");
}

#[test]
fn scripts_by_their_interpreter() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    if !arena.programs().judges_scripts() {
        eprintln!("not run: this kernel asks nobody when a file was opened");
        return;
    }
    let script = arena.path("script");
    fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
    let perl = arena.path("perl");
    fs::write(&perl, "exit 7;\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let runs = || {
        let shell = |words: &str| output(command("sh").args(["-c", words, "sh"]).arg(&script)).status.code();
        [
            ended(&mut command(&script)).unwrap_or(-1),
            ended(command("sh").arg(&script)).unwrap(),
            ended(command("bash").arg(&script)).unwrap(),
            ended(command("perl").arg(&perl)).unwrap(),
            shell("sh < $1").unwrap(),
            shell(". $1").unwrap(),
        ]
    };
    // Interpreters are noticed when they are executed under rules.
    assert_eq!(runs(), [7; 6]);
    arena.deny(&[&script, &perl]);
    let refused = runs();
    assert!(refused.iter().all(|status| *status != 7), "{refused:?}");
    // Whoever is no interpreter may read it.
    assert_eq!(ended(command("cat").arg(&script).stdout(Stdio::null())), Ok(0));
    let hooks: Vec<_> = arena.events().iter().map(|event| event.hook).collect();
    assert_eq!(hooks, [Hook::Exec, Hook::Read, Hook::Read, Hook::Read, Hook::Read, Hook::Read]);
    arena.deny(&[]);
    assert_eq!(runs(), [7; 6]);
}

/// A shell that runs from before there were rules, and one of which only user space can tell what it is.
#[test]
fn scripts_by_interpreters_that_run_already() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    if !arena.programs().judges_scripts() {
        eprintln!("not run: this kernel asks nobody when a file was opened");
        return;
    }
    arena.adopt(&[]);
    let script = arena.path("script");
    fs::write(&script, "exit 7\n").unwrap();
    let shells = ["sh-7.1", "tool"].map(|name| arena.copy("/bin/sh", name, name));
    let started = shells.each_ref().map(|shell| Command::new(shell).stdin(Stdio::piped()).spawn().unwrap());
    let tool = format!("/proc/{}/exe", started[1].id());
    // Who starts a program may go on a moment before it is what runs.
    while fs::read_link(&tool).unwrap() != shells[1] {
        std::thread::yield_now();
    }
    arena.programs().add_interpreters([&tool]).unwrap();
    arena.deny(&[&script]);
    for mut child in started {
        writeln!(child.stdin.take().unwrap(), ". {}", script.display()).unwrap();
        assert_ne!(child.wait().unwrap().code(), Some(7));
    }
}
