// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Denies files by their content, in the kernel: nobody is asked, so nobody can be late.
 *
 * A verdict is kept with the inode, and counts as long as the epoch is the one in force and the inode has the change
 * time, size and generation of the moment before its content was hashed. What could change content behind these three
 * is shut out thus:
 *  - A file that somebody has open for writing is not remembered; who opens it for writing or cuts it off makes it
 *    forgotten. Both sides write first and look then (`remember`, `forget`), so that one of them sees the other.
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
 * Some verifiers believe that this hook always gets a file, and take a look at the pointer for dead code. They know
 * nothing of what was read as a number; those that know better want the pointer itself looked at as well.
 */
static __always_inline bool maps_no_file(unsigned long long *arguments)
{
	__u64 file = 0;

	bpf_probe_read_kernel(&file, sizeof(file), arguments);
	return !file;
}

SEC("lsm.s/mmap_file")
int BPF_PROG(quell_map, struct file *file, unsigned long wanted, unsigned long prot, unsigned long flags, int ret)
{
	if (ret || maps_no_file(ctx) || !file)
		return ret;
	if (!(prot & PROT_EXEC))
		return judge(file, PLAIN);
	if (probed(file))
		return 0;
	return judge(file, MAP);
}

/* This hook must not sleep, so that nothing can be hashed here. */
SEC("lsm/file_mprotect")
int BPF_PROG(quell_protect, struct vm_area_struct *vma, unsigned long wanted, unsigned long prot, int ret)
{
	if (ret || !(prot & PROT_EXEC) || (vma->vm_flags & VM_EXEC))
		return ret;
	return judge_mapped(vma);
}

SEC("lsm/file_open")
int BPF_PROG(quell_open, struct file *file, int ret)
{
	if (ret)
		return ret;
	if (file->f_mode & FMODE_WRITE)
		forget(file->f_inode);
	else if (is_prober(how_things_stand()))
		add_interpreter(file);
	return 0;
}

/* Cut off without being opened. */
SEC("lsm/path_truncate")
int BPF_PROG(quell_cut, struct path *path, int ret)
{
	if (!ret)
		forget(path->dentry->d_inode);
	return ret;
}

/* From Linux 6.12 on. */
SEC("lsm.s/file_post_open")
int BPF_PROG(quell_read, struct file *file, int mask, int ret)
{
	if (ret || (file->f_mode & (FMODE_READ | FMODE_WRITE)) != FMODE_READ || !by_interpreter())
		return ret;
	return judge(file, READ);
}

/* Does nothing: whether it loads tells whether the others would. */
SEC("lsm/file_open")
int BPF_PROG(quell_probe, struct file *file, int ret)
{
	return ret;
}
