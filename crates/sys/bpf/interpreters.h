/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that execute what they read. */
#ifndef QUELL_INTERPRETERS_H
#define QUELL_INTERPRETERS_H

/* Whether the task may be one that executes what it reads: `by_interpreter` knows. Every open asks. */
static __always_inline bool may_interpret(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return *hint_of(task->mm->exe_file->f_inode->i_ino);
}

/* Whether the task executes what it reads. */
static __always_inline bool by_interpreter(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct inode *program = task->mm->exe_file->f_inode;
	struct name name = {};

	name.disk = program->i_sb->s_bdev->bd_disk->diskseq;
	name.device = program->i_sb->s_dev;
	name.inode = program->i_ino;
	name.generation = program->i_generation;
	return bpf_map_lookup_elem(&interpreters, &name) || bpf_map_lookup_elem(&others_interpreters, &name);
}

/* Also in namespaces and on images of their own making users have files that belong to root, as many as they like. */
static __always_inline bool belongs_to_root(struct file *file)
{
	return !file->f_inode->i_uid.val && BPF_CORE_READ(file, f_inode, i_sb, s_user_ns, level) == 0 &&
	       !(BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID);
}

static __always_inline void add_interpreter(struct file *file)
{
	struct name name = {};
	__u8 yes = 1;

	*hint_of(file->f_inode->i_ino) = 1;
	name_of(file->f_inode, &name);
	if (!belongs_to_root(file) || bpf_map_update_elem(&interpreters, &name, &yes, BPF_ANY))
		bpf_map_update_elem(&others_interpreters, &name, &yes, BPF_ANY);
}

/*
 * Knows an interpreter by its name, wherever it lies, without its version: python3.11 is python. Without rules too: it
 * may still run when there are some.
 */
static __always_inline void notice_interpreter(struct file *file)
{
	char name[NAME] = {};
	bool ends = false;

	bpf_probe_read_kernel_str(name, sizeof(name), file->f_path.dentry->d_name.name);
#pragma unroll
	for (int i = 0; i < NAME; i++) {
		if ((name[i] >= '0' && name[i] <= '9') || name[i] == '.' || name[i] == '-')
			ends = true;
		if (ends)
			name[i] = 0;
	}
	if (bpf_map_lookup_elem(&names, name))
		add_interpreter(file);
}

#endif
