//! Processes that fork so that somebody is always missed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use model::rule::Effect;

use crate::arena::Kind;
use crate::arena::scene::{Scene, wait_until};
use crate::judge::{rule, sweep};
use crate::pids;

/// Each process forks one and ends, as fast as can be: no library, no memory to copy.
const HOPS: &str = r#"
static long call(long number, long a) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a) : "rcx", "r11", "memory");
  return result;
}
void _start(void) {
  for (;;) {
    if (call(57, 0) > 0) call(60, 0);
  }
}
"#;

/// Keeps some children, each of which does the same, and starts a new one for each that ends.
const TREE: &str = r#"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void grow(int depth) {
  int children = 0;
  for (;;) {
    while (children < 3 && depth < 4) {
      pid_t pid = fork();
      if (pid == 0) grow(depth + 1);
      if (pid > 0) children++;
    }
    if (children == 0) pause();
    else if (waitpid(-1, 0, 0) > 0) children--;
  }
}
int main(void) { grow(0); }
"#;

fn compile(scene: &Scene, name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let (file, program) = (scene.arena.path(format!("{name}.c")), scene.arena.path(name));
    std::fs::write(&file, source).unwrap();
    let output = Command::new("cc").arg("-O2").args(flags).arg("-o").arg(&program).arg(&file).output();
    let Ok(output) = output else {
        println!("not run: there is no C compiler");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

fn running(program: &Path) -> usize {
    let runs = |pid: &i32| sys::processes::executable_path(*pid).is_ok_and(|path| path == program);
    sys::processes::all().filter(runs).count()
}

#[test]
fn none_of_a_growing_tree_survives() {
    pids::inside(|| {
        let Some(mut scene) = Scene::open(Kind::Ext4) else { panic!("it is private") };
        let Some(evil) = compile(&scene, "orphan", TREE, &[]) else { return };
        for _ in 0..5 {
            scene.start(&evil, &[]);
            wait_until("it grows", || running(&evil) > 80);
            let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
            assert!(found.len() > 80, "{}", found.len());
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(running(&evil), 0);
        }
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn who_forks_and_ends_all_the_time_is_caught() {
    pids::inside(|| {
        let Some(mut scene) = Scene::open(Kind::Ext4) else { panic!("it is private") };
        let Some(evil) = compile(&scene, "orphan", HOPS, &["-static", "-nostdlib"]) else { return };
        for round in 0..20 {
            scene.start(&evil, &[]);
            let before = std::fs::read_to_string("/proc/loadavg").unwrap();
            wait_until("it hops", || std::fs::read_to_string("/proc/loadavg").unwrap() != before);
            let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
            assert!(!found.is_empty(), "round {round}");
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(running(&evil), 0, "round {round}");
        }
    });
}
