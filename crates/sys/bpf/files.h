/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looking at files: what they are, whether they are what they were, and remembering them. */
#ifndef QUELL_FILES_H
#define QUELL_FILES_H

#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_PRIVATE 0x200
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define SB_KERNMOUNT 0x400000
#define F_SEAL_WRITE 0x8
#define MNT_NOSUID 0x1
#define MNT_NOEXEC 0x4
#define SB_I_NOEXEC 0x2
#define OVERLAYFS 0x794c7630
#define LOOP_MAJOR 7

/* The kernel keeps a flag there since 6.13. */
#define NANOSECONDS 0x3fffffff
#define MILLISECOND 1000000ll
#define SECOND (1000 * MILLISECOND)
/* Longer than a clock tick, and than one of a filesystem that keeps no nanoseconds. */
#define YOUNG (20 * MILLISECOND)
#define YOUNG_COARSE (2100 * MILLISECOND)

struct look {
	__s64 ctime_seconds;
	__s64 ctime_nanoseconds;
	__s64 size;
	__u32 generation;
	/* Above 0: so many have it open for writing. Below: so many forbid that. */
	__s32 writers;
	/* What `openings` said before everything else was looked at. */
	__u64 openings;
};

/* Looks at any inode, at one that the verifier does not know too. */
static __always_inline void look_at(struct inode *inode, struct look *look)
{
	struct inode___seconds *seconds = (void *)inode;

	look->openings = *openings_of(BPF_CORE_READ(inode, i_ino));
	if (bpf_core_field_exists(seconds->i_ctime_sec)) {
		look->ctime_seconds = BPF_CORE_READ(seconds, i_ctime_sec);
		look->ctime_nanoseconds = BPF_CORE_READ(seconds, i_ctime_nsec) & NANOSECONDS;
	} else {
		struct inode___hidden *hidden = (void *)inode;
		struct inode___plain *plain = (void *)inode;

		if (bpf_core_field_exists(hidden->__i_ctime)) {
			look->ctime_seconds = BPF_CORE_READ(hidden, __i_ctime.tv_sec);
			look->ctime_nanoseconds = BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
		} else {
			look->ctime_seconds = BPF_CORE_READ(plain, i_ctime.tv_sec);
			look->ctime_nanoseconds = BPF_CORE_READ(plain, i_ctime.tv_nsec);
		}
	}
	look->size = BPF_CORE_READ(inode, i_size);
	look->generation = BPF_CORE_READ(inode, i_generation);
	look->writers = BPF_CORE_READ(inode, i_writecount.counter);
}

/* The same for an inode that the verifier knows: plain loads, for the way that is gone always. */
static __always_inline void look_quickly(struct inode *inode, struct look *look)
{
	struct inode___seconds *seconds = (void *)inode;

	look->openings = *openings_of(inode->i_ino);
	if (bpf_core_field_exists(seconds->i_ctime_sec)) {
		look->ctime_seconds = seconds->i_ctime_sec;
		look->ctime_nanoseconds = seconds->i_ctime_nsec & NANOSECONDS;
	} else {
		struct inode___hidden *hidden = (void *)inode;
		struct inode___plain *plain = (void *)inode;

		if (bpf_core_field_exists(hidden->__i_ctime)) {
			look->ctime_seconds = hidden->__i_ctime.tv_sec;
			look->ctime_nanoseconds = hidden->__i_ctime.tv_nsec;
		} else {
			look->ctime_seconds = plain->i_ctime.tv_sec;
			look->ctime_nanoseconds = plain->i_ctime.tv_nsec;
		}
	}
	look->size = inode->i_size;
	look->generation = inode->i_generation;
	look->writers = inode->i_writecount.counter;
}

/* Whether the content is what it was. */
static __always_inline bool is_same(struct look *one, struct look *other)
{
	return one->ctime_seconds == other->ctime_seconds && one->ctime_nanoseconds == other->ctime_nanoseconds &&
	       one->size == other->size && one->generation == other->generation && one->openings == other->openings;
}

static __always_inline bool is_fresh(struct known *known, struct look *look)
{
	return known->ctime_seconds == look->ctime_seconds && known->ctime_nanoseconds == look->ctime_nanoseconds &&
	       known->size == look->size && known->generation == look->generation && known->openings == look->openings;
}

/*
 * Whether another change could still get the same change time. The clock that stamps files may be behind the one that is
 * asked here, by more than any fixed number of ticks when they come late; so this is not all there is: whoever writes
 * to a file or cuts it is noticed (`forget`).
 */
static __always_inline bool is_young(struct standing *standing, struct look *look)
{
	__s64 now = (__s64)bpf_ktime_get_tai_ns() - standing->tai_ahead;
	__s64 age = now - (look->ctime_seconds * SECOND + look->ctime_nanoseconds);

	return age < (look->ctime_nanoseconds ? YOUNG : YOUNG_COARSE);
}

/*
 * Filesystems of this machine's own kernel. To hash a file of another (FUSE, network) could mean to wait for somebody
 * who waits for us; a list of those allowed leaves alone what nobody thought of.
 */
static __always_inline bool is_local(unsigned long magic)
{
	switch (magic) {
	case 0xef53: /* ext2, ext3, ext4 */
	case 0x58465342: /* xfs */
	case 0x9123683e: /* btrfs */
	case 0x01021994: /* tmpfs, and memfd */
	case 0x858458f6: /* ramfs, and tmpfs without CONFIG_SHMEM */
	case OVERLAYFS:
	case 0xe0f5e1e2: /* erofs */
	case 0x73717368: /* squashfs */
	case 0xf2f52010: /* f2fs */
	case 0x4d44: /* msdos, vfat */
	case 0x2011bab0: /* exfat */
	case 0x9660: /* iso9660 */
	case 0x15013346: /* udf */
	case 0x7366746e: /* ntfs3 */
	case 0xca451a4e: /* bcachefs */
		return true;
	default:
		return false;
	}
}

/* A memfd that can still be written: nobody counts its writers. */
static __always_inline bool is_open_memfd(struct inode *inode)
{
	struct shmem_inode_info *info;

	if (!(inode->i_sb->s_flags & SB_KERNMOUNT))
		return false;
	info = (void *)inode - bpf_core_field_offset(struct shmem_inode_info, vfs_inode);
	return !(BPF_CORE_READ(info, seals) & F_SEAL_WRITE);
}

static __always_inline void name_of(struct inode *inode, struct name *name)
{
	name->disk = BPF_CORE_READ(inode, i_sb, s_bdev, bd_disk, diskseq);
	name->device = BPF_CORE_READ(inode, i_sb, s_dev);
	name->inode = BPF_CORE_READ(inode, i_ino);
	name->generation = BPF_CORE_READ(inode, i_generation);
}

/* Whether a mapping of it can become executable. */
static __always_inline bool may_execute(struct file *file)
{
	return !(BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOEXEC) &&
	       !(file->f_inode->i_sb->s_iflags & SB_I_NOEXEC);
}

/*
 * Whether somebody may change the content below the filesystem: in an image file that a user may mount, which then is
 * without set-user-id; also beside an overlay that a user has mounted over it.
 */
static __always_inline bool is_shifting(struct file *file, struct inode *below)
{
	struct inode *holder = below ? below : file->f_inode;

	if (BPF_CORE_READ(holder, i_sb, s_bdev, bd_disk, major) != LOOP_MAJOR)
		return false;
	return below ? BPF_CORE_READ(file, f_inode, i_sb, s_user_ns, level) > 0 :
		       BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID;
}

static __always_inline bool is_guarded(struct standing *standing, __u64 device)
{
	return standing->everywhere || bpf_map_lookup_elem(&guarded, &device);
}

#endif
