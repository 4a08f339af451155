// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Denies files by their content, in the kernel: nobody is asked, so nobody can be late.
 *
 * A verdict is kept with the inode, and counts as long as the epoch is the one in force and the inode has the change
 * time, size and generation of the moment before its content was hashed. What could change content behind these three
 * is shut out thus:
 *  - A file that somebody has open for writing is not remembered; who opens it for writing or cuts it off makes it
 *    forgotten. Both sides write first and look then (`remember`, `forget`), so that one of them sees the other.
 *  - What the kernel opens for itself to write is counted (`openings`), and the count is looked at like the three.
 *  - A change within the clock tick of the one before looks like it: what is younger is not remembered.
 *  - Writers of a memfd are counted nowhere: it is remembered only when it is sealed against writing.
 *  - An overlay's inode does not follow the file below: that one counts, as it is open there.
 *  - Below a filesystem its image may be written: what users can mount so is not remembered.
 *
 * A remembered digest never changes; only the verdict beside it does. To change it, the entry is replaced.
 *
 * The file says so where a program permits what it could not judge: a guard that breaks the machine is no guard.
 */
#include "kernel.h"
#include "guard.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps.h"
#include "files.h"
#include "overlays.h"
#include "interpreters.h"
#include "report.h"
#include "judge.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PROT_EXEC 0x4
#define VM_EXEC 0x4
/* Nothing of the kernel lies below. */
#define PAGE 4096

/* Each level of interpreter comes here, so that a script's own file and its interpreter's are judged. */
SEC("lsm.s/bprm_check_security")
int BPF_PROG(quell_exec, struct linux_binprm *bprm, int ret)
{
	if (ret)
		return ret;
	notice_interpreter(bprm->file);
	return judge(bprm->file, EXEC);
}

/*
 * Some verifiers believe that this hook always gets a file, and take a look whether it is none for dead code. They do
 * not with another number than zero; those that know better want the look at zero as well.
 */
static __always_inline bool maps_no_file(struct file *file)
{
	if ((__u64)file < PAGE)
		return true;
	barrier_var(file);
	return !file;
}

SEC("lsm.s/mmap_file")
int BPF_PROG(quell_map, struct file *file, unsigned long wanted, unsigned long prot, unsigned long flags, int ret)
{
	if (ret || maps_no_file(file))
		return ret;
	return judge(file, prot & PROT_EXEC ? MAP : PLAIN);
}

/* This hook must not sleep, so that nothing can be hashed here. */
SEC("lsm/file_mprotect")
int BPF_PROG(quell_protect, struct vm_area_struct *vma, unsigned long wanted, unsigned long prot, int ret)
{
	if (ret || !(prot & PROT_EXEC) || (vma->vm_flags & VM_EXEC))
		return ret;
	return judge_mapped(vma);
}

/* Where what stands below at `quell_read` and the three behind it cannot be had. */
SEC("lsm/file_open")
int BPF_PROG(quell_open, struct file *file, int ret)
{
	if (!ret && file->f_mode & FMODE_WRITE)
		forget(file->f_inode);
	return ret;
}

/* Cut off without being opened. */
SEC("lsm/path_truncate")
int BPF_PROG(quell_cut, struct path *path, int ret)
{
	if (!ret)
		forget(path->dentry->d_inode);
	return ret;
}

static __noinline int read_by_interpreter(unsigned long long *ctx)
{
	struct file *file = (void *)ctx[0];
	int ret = ctx[2];

	if (ret || !(file->f_mode & FMODE_READ) || !by_interpreter())
		return ret;
	return judge(file, READ);
}

static __noinline int opened_for_writing(unsigned long long *ctx)
{
	struct file *file = (void *)ctx[0];
	int ret = ctx[2];

	if (!ret)
		forget(file->f_inode);
	return ret;
}

/*
 * From Linux 6.12 on. Every open by user space comes here, before it cuts off or returns anything: the way of one that
 * only reads is as short as can be.
 */
SEC("lsm.s/file_post_open")
int quell_read(unsigned long long *ctx)
{
	struct file *file = (void *)ctx[0];

	if (file->f_mode & FMODE_WRITE)
		return opened_for_writing(ctx);
	if (may_interpret())
		return read_by_interpreter(ctx);
	return ctx[2];
}

/* Where the kernel opens files for itself: those below overlays, those that it serves to others. */
static __always_inline int opened_within(void *ctx)
{
	__u64 opened = 0;

	if (!bpf_get_func_ret(ctx, &opened))
		forget_opened((void *)opened);
	return 0;
}

SEC("fexit/backing_file_open")
int quell_opened_below(void *ctx)
{
	return opened_within(ctx);
}

SEC("fexit/dentry_open")
int quell_opened_within(void *ctx)
{
	return opened_within(ctx);
}

SEC("fexit/kernel_file_open")
int quell_opened_alone(void *ctx)
{
	return opened_within(ctx);
}

/* Only while user space says by an open what is an interpreter. */
SEC("lsm/file_open")
int BPF_PROG(quell_meet, struct file *file, int ret)
{
	if (!ret && !(file->f_mode & FMODE_WRITE) && is_prober())
		add_interpreter(file);
	return ret;
}

/* Only while user space asks by a mapping whether this kernel tells digests, and by which algorithm. */
SEC("lsm.s/mmap_file")
int BPF_PROG(quell_answer, struct file *file, unsigned long wanted, unsigned long prot, unsigned long flags, int ret)
{
	__u8 digest[DIGEST] = {};
	__u32 only = 0;
	__s64 *told;

	if (ret || !(prot & PROT_EXEC) || maps_no_file(file) || !is_prober())
		return ret;
	told = bpf_map_lookup_elem(&answer, &only);
	if (told)
		*told = bpf_ima_file_hash(file, digest, DIGEST);
	return 0;
}

/* Does nothing: whether it loads tells whether the others would. */
SEC("lsm/file_open")
int BPF_PROG(quell_probe, struct file *file, int ret)
{
	return ret;
}
