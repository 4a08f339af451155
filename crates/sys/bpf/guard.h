/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the guard's programs share with the process that loads them: crates/sys/src/bpf/shapes.rs says the same in
 * Rust. All times are nanoseconds since boot, the time asleep included, unless said otherwise.
 */
#ifndef QUELL_GUARD_H
#define QUELL_GUARD_H

#include <linux/types.h>

#define DIGEST 32
#define PATH 1024
#define NAME 16

/* Where a file was judged. */
enum hook {
	EXEC = 1,
	MAP = 2,
	PROTECT = 3,
	READ = 4,
	/* Mapped without being executable, which it may become where nothing can be hashed. Never refused, never told. */
	PLAIN = 5,
};

/* What became of it. */
enum verdict {
	PERMIT = 1,
	DENY = 2,
	/* Permitted, and told. */
	WATCH = 3,
	/* A rule denies it, and the machine cannot do without this copy. */
	SPARED = 4,
	/* Permitted, because nobody could tell its digest. */
	UNJUDGED = 5,
	/* Refused, because nobody could tell its digest and it can be had. */
	UNKNOWN = 6,
	/* Refused, because somebody writes to it. */
	BUSY = 7,
};

/* How things stand: the one entry of the map `standing`. */
struct standing {
	/* Grows with each change of rules or scope: verdicts of another epoch count no more. */
	__u64 epoch;
	/* How many rules there are; with none, nothing is judged. */
	__u64 rules;
	/* Larger files are not judged; nor are larger ones that interpreters read, or that are mapped as data. */
	__u64 largest;
	__u64 largest_script;
	__u64 largest_plain;
	/* By how much the kernel's international atomic time is ahead of UTC, in nanoseconds. */
	__s64 tai_ahead;
	/* All filesystems are guarded, not only those in `guarded`. */
	__u32 everywhere;
	/*
	 * The process whose next executable mapping tells whether there are digests, and which opens what is an
	 * interpreter; else 0.
	 */
	__u32 prober;
};

/* By what a rule knows its file: the kernel's number of the hash algorithm, and the digest. */
struct content {
	__u32 algorithm;
	__u8 digest[DIGEST];
};

struct rule {
	__u64 id;
	/* When it ends; never, if 0. */
	__u64 until;
	/* PERMIT, DENY or WATCH. */
	__u32 effect;
	__u32 reserved;
};

/* A copy that is never denied. The device is the kernel's own number of the filesystem, or 0 if that is not known. */
struct spared {
	__u64 device;
	__u64 inode;
	__u8 digest[DIGEST];
};

/* What is told to user space. */
struct event {
	__u64 at;
	__u64 rule;
	__u64 device;
	__u64 inode;
	__u64 size;
	/* PROTECT: where the file is mapped. */
	__u64 mapped_from;
	__u64 mapped_to;
	__u32 generation;
	__u32 process;
	__u32 thread;
	__u32 user;
	__u32 algorithm;
	__u32 hook;
	__u32 verdict;
	__s32 error;
	/* As the process sees it, with its last zero; nothing, if 0 or less. */
	__s32 path_length;
	__u32 reserved;
	__u8 digest[DIGEST];
	char path[PATH];
};

/* What is counted, by index into `counts`. */
enum count {
	HASHED = 0,
	DENIED = 1,
	UNTOLD = 2,
	UNJUDGEABLE = 3,
	UNKNOWNS = 4,
	BUSIES = 5,
	SPARES = 6,
	COUNTS = 7,
};

#endif
