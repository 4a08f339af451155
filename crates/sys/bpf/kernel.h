/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parts of the kernel's types that the guard's programs read. Only names and types count: at load time the
 * loader puts in the offsets of the kernel that runs.
 */
#ifndef QUELL_KERNEL_H
#define QUELL_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__u32 val;
} kuid_t;

struct gendisk {
	int major;
	__u64 diskseq;
};

struct block_device {
	struct gendisk *bd_disk;
};

struct user_namespace {
	int level;
};

struct super_block {
	__u32 s_dev;
	struct user_namespace *s_user_ns;
	struct block_device *s_bdev;
	unsigned long s_flags;
	unsigned long s_iflags;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	long long i_size;
	atomic_t i_writecount;
	__u32 i_generation;
};

/* The time of change: since 6.11, from 6.6 to 6.10, before. */
struct inode___seconds {
	long long i_ctime_sec;
	__u32 i_ctime_nsec;
};

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

struct inode___hidden {
	struct timespec64 __i_ctime;
};

struct inode___plain {
	struct timespec64 i_ctime;
};

struct shmem_inode_info {
	unsigned int seals;
	struct inode vfs_inode;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct super_block *d_sb;
	struct inode *d_inode;
	struct qstr d_name;
};

struct vfsmount {
	int mnt_flags;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct inode *f_inode;
	struct path f_path;
	void *private_data;
};

struct linux_binprm {
	struct file *file;
};

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	struct mm_struct *mm;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	struct file *vm_file;
};

#pragma clang attribute pop

#endif
