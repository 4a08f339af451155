/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What lies below an overlay's files. */
#ifndef QUELL_OVERLAYS_H
#define QUELL_OVERLAYS_H

/* A flag of overlayfs, the same since 4.19. */
#define UPPERDATA (1 << 3)

/* The inode of a dentry that was found in memory of which no type tells; none, if it was none. */
static __always_inline struct inode *inode_of(struct dentry *dentry, struct inode *overlay)
{
	struct inode *found = BPF_CORE_READ(dentry, d_inode);

	if (!found || BPF_CORE_READ(found, i_sb) != BPF_CORE_READ(dentry, d_sb))
		return 0;
	return (BPF_CORE_READ(found, i_mode) ^ BPF_CORE_READ(overlay, i_mode)) & S_IFMT ? 0 : found;
}

/*
 * An overlay is a module, whose types the loader does not know. Its inodes hold flags before what all inodes have;
 * behind that the upper dentry, then since 6.5 a pointer to the lower layers, before that a lower layer and its dentry.
 */

/* The inode that holds the content, if that is in the overlay's upper layer. */
static __always_inline struct inode *above(struct inode *inode)
{
	struct dentry *dentry = 0;
	unsigned long flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), (void *)inode - sizeof(flags));
	/* Without this flag an upper file has attributes alone. */
	if (!(flags & UPPERDATA))
		return 0;
	bpf_probe_read_kernel(&dentry, sizeof(dentry), (void *)inode + bpf_core_type_size(struct inode));
	return inode_of(dentry, inode);
}

/* The inode that holds the content, in whatever layer. */
static __always_inline struct inode *below_overlay(struct inode *inode)
{
	struct inode *found = above(inode);
	struct dentry *words[3] = {};
	struct dentry *dentry = 0;
	__u32 depth = 0;

	if (found)
		return found;
	bpf_probe_read_kernel(words, sizeof(words), (void *)inode + bpf_core_type_size(struct inode));
	/* A number, filled up to eight bytes, then pairs of layer and dentry; the last one holds the data. */
	bpf_probe_read_kernel(&depth, sizeof(depth), words[1]);
	if (depth && depth <= 512) {
		bpf_probe_read_kernel(&dentry, sizeof(dentry), (void *)words[1] + 16 * (__u64)depth);
		found = inode_of(dentry, inode);
		if (found)
			return found;
	}
	return inode_of(words[2], inode);
}

/* The file by which an overlay's file reads, if it is one: since 6.13 there is something in between. */
static __always_inline struct file *file_below(struct file *file)
{
	struct dentry *own = BPF_CORE_READ(file, f_path.dentry);
	struct file *found = BPF_CORE_READ(file, private_data);

#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct inode *inode = BPF_CORE_READ(found, f_inode);
		struct dentry *dentry = BPF_CORE_READ(found, f_path.dentry);

		/* Until 6.6 it bears the overlay's own name. */
		if (inode && dentry && inode != BPF_CORE_READ(file, f_inode) &&
		    (BPF_CORE_READ(dentry, d_inode) == inode || dentry == own) &&
		    (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG)
			return found;
		bpf_probe_read_kernel(&found, sizeof(found), found);
	}
	return 0;
}

static __always_inline bool is_overlay(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS;
}

/* What lies below a file of an overlay; an overlay may lie over another, and no deeper. */
struct depths {
	/* Where the content is; none, if that was not found. */
	struct inode *bottom;
	/* What was found on the way, from above. */
	struct inode *found[2];
};

/*
 * Finds that out by what is open, as a layer may have lost the file since. Finds nothing where a hash would not be that
 * of what runs: an overlay's inode may know another size than the file, and then as much is hashed; and who has opened
 * the file before it was copied up maps what was below, and reads what is above.
 */
static __always_inline void look_below(struct file *file, struct depths *depths)
{
	struct inode *inode = file->f_inode;
	__s64 size = inode->i_size;

	depths->bottom = 0;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct inode *upper = above(inode), *found;

		file = file_below(file);
		found = file ? BPF_CORE_READ(file, f_inode) : below_overlay(inode);
		depths->found[i] = found;
		if (!found || (upper && upper != found) || BPF_CORE_READ(found, i_size) != size)
			return;
		if (!is_overlay(found)) {
			depths->bottom = found;
			return;
		}
		inode = found;
	}
}

/* Whether a file of an overlay is guarded for what lies below. */
static __always_inline bool is_guarded_below(struct standing *standing, struct depths *depths)
{
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct inode *found = depths->found[i];

		if (found && is_guarded(standing, BPF_CORE_READ(found, i_sb, s_dev)))
			return true;
	}
	return false;
}

/* Called when somebody is about to change the file, who is counted among its writers already. */
static __always_inline void forget(struct inode *inode)
{
	struct inode *holder = inode;
	struct name name = {};

	bpf_inode_storage_delete(&inodes, inode);
	if (inode->i_sb->s_magic == OVERLAYFS)
		holder = below_overlay(inode);
	name_of(holder, &name);
	bpf_map_delete_elem(&apart, &name);
}

/* The same for a file that the kernel has opened for itself, which no type tells of; it may be an error instead. */
static __always_inline void forget_opened(struct file *file)
{
	if (!file || (unsigned long)file >= -4095ul || !(BPF_CORE_READ(file, f_mode) & FMODE_WRITE))
		return;
	__sync_fetch_and_add(openings_of(BPF_CORE_READ(file, f_inode, i_ino)), 1);
}

#endif
