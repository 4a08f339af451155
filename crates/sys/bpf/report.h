/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space is told. Nobody waits for it: what finds no room is counted. */
#ifndef QUELL_REPORT_H
#define QUELL_REPORT_H

struct told {
	__u64 rule;
	__u32 hook;
	__u32 verdict;
	__s32 error;
	__u64 mapped_from;
	__u64 mapped_to;
};

/* `names_path` is a constant: where the hook must not sleep, the verifier allows no path. */
static __always_inline void tell(struct file *file, struct content *content, struct told *told, bool names_path)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct inode *inode;
	__u64 id;

	if (!event) {
		count(UNTOLD);
		return;
	}
	inode = file->f_inode;
	id = bpf_get_current_pid_tgid();
	event->at = bpf_ktime_get_boot_ns();
	event->rule = told->rule;
	event->device = inode->i_sb->s_dev;
	event->inode = inode->i_ino;
	event->size = inode->i_size;
	event->mapped_from = told->mapped_from;
	event->mapped_to = told->mapped_to;
	event->generation = inode->i_generation;
	event->process = id >> 32;
	event->thread = id;
	event->user = bpf_get_current_uid_gid();
	event->algorithm = content->algorithm;
	event->hook = told->hook;
	event->verdict = told->verdict;
	event->error = told->error;
	event->reserved = 0;
	__builtin_memcpy(event->digest, content->digest, DIGEST);
	event->path[0] = 0;
	event->path_length = names_path ? bpf_d_path(&file->f_path, event->path, sizeof(event->path)) : 0;
	bpf_ringbuf_submit(event, 0);
}

#endif
