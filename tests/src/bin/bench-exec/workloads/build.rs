//! (b) A build: each source is compiled by itself, then all are put together.

use tests::userland::Userland;

use super::{Sizes, Workload};
use crate::table::MILLISECONDS;

const SCRIPT: &str = "/bench/build.sh";
/// The compiler, its heart and the assembler.
const EXECS: f64 = 3.0;

pub(super) fn furnish(userland: &Userland, sizes: &Sizes) -> anyhow::Result<()> {
    std::fs::create_dir_all(userland.path("/bench/src"))?;
    for number in 0..sizes.sources {
        userland.put(&format!("/bench/src/{number}.c"), source(number).as_bytes())?;
    }
    userland.compiler(&source(0))?;
    let script = "\
set -e
export PATH=/usr/bin:/bin
cd /bench/src
i=0
while [ $i -lt $1 ]; do
  cc -O1 -c $i.c -o $i.o
  i=$((i + 1))
done
cc -r -nostdlib *.o -o whole
";
    userland.put(SCRIPT, script.as_bytes())
}

fn source(number: u32) -> String {
    format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
         int part_{number}(const char *text) {{\n\
         \x20 char copy[64];\n\
         \x20 strncpy(copy, text, sizeof copy - 1);\n\
         \x20 copy[sizeof copy - 1] = 0;\n\
         \x20 return printf(\"%s %d\\n\", copy, atoi(text) + {number});\n\
         }}\n"
    )
}

pub(super) fn workload(sizes: &Sizes) -> Workload {
    Workload {
        title: "(b) a build, for each source",
        unit: MILLISECONDS,
        arguments: Box::new(|files| ["run", "/bin/sh", SCRIPT, &files.to_string()].map(str::to_owned).into()),
        size: sizes.sources,
        divides: true,
        execs: EXECS,
        most: 1.10,
    }
}
