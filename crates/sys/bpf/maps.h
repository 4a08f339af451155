/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs know, and what user space tells them. */
#ifndef QUELL_MAPS_H
#define QUELL_MAPS_H

/* A file's digest as it was found, and the verdict by the last epoch that was asked for. */
struct known {
	__s64 ctime_seconds;
	__s64 ctime_nanoseconds;
	__s64 size;
	__u32 generation;
	__u32 algorithm;
	__u8 digest[DIGEST];
	__u64 openings;
	/* These three alone change. The epoch, eight bits up; YOUNG or not; the verdict. */
	__u64 judged;
	__u64 rule;
	__u64 until;
};

/* An inode, wherever it lies. */
struct name {
	/* No two disks ever have the same; else the numbers of one could come again with another that is made so. */
	__u64 disk;
	__u64 device;
	__u64 inode;
	__u64 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct standing);
} standing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct content);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct spared);
	__type(value, __u8);
} spareds SEC(".maps");

/* The kernel's numbers of the guarded filesystems. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} guarded SEC(".maps");

/* Programs that execute what they read and belong to root: nobody else can crowd them out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct name);
	__type(value, __u8);
} interpreters SEC(".maps");

/* Those of others. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct name);
	__type(value, __u8);
} others_interpreters SEC(".maps");

/* Their names, without versions; filled up with zeros. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, char[NAME]);
	__type(value, __u8);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct known);
} inodes SEC(".maps");

/*
 * The same for what is seen through an overlay, whose own inodes do not tell of changes below; and for young files,
 * whose mappings may be made executable before they are older.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct name);
	__type(value, struct known);
} apart SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* What the kernel said to the prober: an algorithm, or a negative errno. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __s64);
} answer SEC(".maps");

/*
 * How often the kernel has opened a file for itself to write, by the low bits of its inode number: what was remembered
 * before counts no more. Others with the same bits are hashed once more than they need be.
 */
#define OPENINGS (1 << 17)
__u64 openings[OPENINGS];

/* Whether an inode whose number has these low bits is an interpreter. Nothing is taken out. */
#define HINTS (1 << 16)
__u8 hints[HINTS];

static __always_inline volatile __u64 *openings_of(unsigned long inode)
{
	return &openings[inode & (OPENINGS - 1)];
}

static __always_inline __u8 *hint_of(unsigned long inode)
{
	return &hints[inode & (HINTS - 1)];
}

static __always_inline struct standing *how_things_stand(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&standing, &only);
}

static __always_inline void count(__u32 which)
{
	__u64 *number = bpf_map_lookup_elem(&counts, &which);

	if (number)
		*number += 1;
}

#endif
