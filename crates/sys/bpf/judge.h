/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a file to an answer. */
#ifndef QUELL_JUDGE_H
#define QUELL_JUDGE_H

#define EPERM 1
#define ETXTBSY 26
#define O_DIRECT 00040000

#define VERDICT 0x7f
/*
 * Beside the verdict: it was found while the file was young, or where its content may shift, and counts only where
 * nothing can be hashed.
 */
#define YOUNG_ONE 0x80

/* What is found out about one file. */
struct finding {
	struct content content;
	__u64 rule;
	__u64 until;
	/* The one that was in force before the rules were asked. */
	__u64 epoch;
	__u32 verdict;
};

/* What a verdict means to the caller, and whether it is told each time. */
static __always_inline int answer_to(struct file *file, struct known *known, __u32 verdict, __u32 hook)
{
	struct told told = { .rule = known->rule, .hook = hook, .verdict = verdict };
	struct content content = { .algorithm = known->algorithm };

	if (verdict == PERMIT || verdict == UNJUDGED || hook == PLAIN)
		return 0;
	if (verdict != DENY && hook == MAP)
		return 0;
	__builtin_memcpy(content.digest, known->digest, DIGEST);
	if (verdict == DENY)
		count(DENIED);
	tell(file, &content, &told, true);
	return verdict == DENY ? -EPERM : 0;
}

static __always_inline bool holds(__u64 until)
{
	return !until || bpf_ktime_get_boot_ns() < until;
}

/* To be asked before the rules are: rules that come in between are of a later epoch, which then is not claimed. */
static __always_inline __u64 epoch_of(struct standing *standing)
{
	return *(volatile __u64 *)&standing->epoch;
}

/* The verdict that is remembered, if it still counts; else 0. */
static __always_inline __u32 remembered(__u64 epoch, struct known *known, __u32 hook)
{
	__u64 judged = known->judged;

	if (judged >> 8 != epoch || !holds(known->until))
		return 0;
	if ((judged & YOUNG_ONE) && hook != PROTECT && hook != PLAIN)
		return 0;
	return judged & VERDICT;
}

static __always_inline bool is_spared(struct inode *inode, struct content *content)
{
	struct spared spared = { .device = inode->i_sb->s_dev, .inode = inode->i_ino };

	__builtin_memcpy(spared.digest, content->digest, DIGEST);
	if (bpf_map_lookup_elem(&spareds, &spared))
		return true;
	/* On some filesystems user space knows another number of the device than the kernel. */
	spared.device = 0;
	return bpf_map_lookup_elem(&spareds, &spared);
}

/* Judges by the rules in force. */
static __always_inline void apply_rules(struct inode *inode, struct finding *finding)
{
	struct rule *rule = bpf_map_lookup_elem(&rules, &finding->content);

	finding->verdict = PERMIT;
	finding->rule = 0;
	finding->until = 0;
	if (!rule || !holds(rule->until))
		return;
	finding->verdict = rule->effect;
	finding->rule = rule->id;
	finding->until = rule->until;
	if (rule->effect == DENY && is_spared(inode, &finding->content))
		finding->verdict = SPARED;
}

/* Whether this is the program that the task runs, which was judged when its exec began and is shut to writers since. */
static __always_inline bool is_own_program(struct inode *inode)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return inode->i_writecount.counter < 0 && task->mm->exe_file->f_inode == inode;
}

/* Puts a verdict beside the digest that is known already. The verdict comes last: with it, the rest counts. */
static __always_inline void judge_anew(struct known *known, struct finding *finding)
{
	known->rule = finding->rule;
	known->until = finding->until;
	*(volatile __u64 *)&known->judged = finding->epoch << 8 | (known->judged & YOUNG_ONE) | finding->verdict;
}

static __always_inline void describe(struct known *known, struct look *look, struct finding *finding)
{
	known->ctime_seconds = look->ctime_seconds;
	known->ctime_nanoseconds = look->ctime_nanoseconds;
	known->size = look->size;
	known->generation = look->generation;
	known->openings = look->openings;
	known->algorithm = finding->content.algorithm;
	__builtin_memcpy(known->digest, finding->content.digest, DIGEST);
	known->judged = finding->epoch << 8 | finding->verdict;
	known->rule = finding->rule;
	known->until = finding->until;
}

/*
 * Keeps what was found, unless it may be changed without a trace: where its writers are not counted, and while there
 * are any. `before` is from before the hash, and of the inode that holds the content: `below`, if there is one.
 */
static __always_inline void remember(struct standing *standing, struct file *file, struct inode *below,
				     struct look *before, struct finding *finding)
{
	bool young = is_young(standing, before) || is_shifting(file, below);
	struct inode *inode = file->f_inode;
	struct inode *holder = below ? below : inode;
	struct known known = {};
	struct known *kept;
	struct look now = {};

	if (before->writers > 0 || is_open_memfd(inode) || (!below && inode->i_sb->s_magic == OVERLAYFS))
		return;
	describe(&known, before, finding);
	look_at(holder, &now);
	if (!is_same(&now, before) || now.writers > 0)
		return;
	if (below || young) {
		struct name name = {};

		if (young)
			known.judged |= YOUNG_ONE;
		name_of(holder, &name);
		bpf_map_update_elem(&apart, &name, &known, BPF_ANY);
		kept = bpf_map_lookup_elem(&apart, &name);
		if (!kept)
			return;
		/* Orders the look at the writers behind the entry. */
		__sync_fetch_and_add(&kept->judged, 0);
		look_at(holder, &now);
		if (now.writers > 0)
			bpf_map_delete_elem(&apart, &name);
		return;
	}
	bpf_inode_storage_delete(&inodes, inode);
	kept = bpf_inode_storage_get(&inodes, inode, &known, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!kept)
		return;
	__sync_fetch_and_add(&kept->judged, 0);
	if (*(volatile int *)&inode->i_writecount.counter > 0)
		bpf_inode_storage_delete(&inodes, inode);
}

/* What is permitted because nobody can judge it. It is told once for each state of the file. */
static __always_inline int unjudged(struct file *file, struct standing *standing, struct inode *below,
				    struct look *look, struct finding *finding, __u32 hook, int error)
{
	struct told told = { .hook = hook, .verdict = UNJUDGED, .error = error };

	finding->verdict = UNJUDGED;
	if (hook != PLAIN) {
		count(UNJUDGEABLE);
		tell(file, &finding->content, &told, true);
	}
	if (!error && !is_young(standing, look))
		remember(standing, file, below, look, finding);
	return 0;
}

/* What is refused because nobody can tell its digest, and it can be had. */
static __always_inline int unknown(struct file *file, __u32 hook, int error)
{
	struct told told = { .hook = hook, .verdict = UNKNOWN, .error = error };
	struct content content = {};

	if (hook == PLAIN)
		return 0;
	count(UNKNOWNS);
	tell(file, &content, &told, true);
	return -EPERM;
}

/* All that is done when no verdict is remembered. May sleep. */
static __noinline int judge_slowly(struct file *file, __u32 hook)
{
	struct standing *standing = how_things_stand();
	struct inode *inode = file->f_inode;
	struct super_block *sb = inode->i_sb;
	bool is_above = sb->s_magic == OVERLAYFS;
	struct inode *below = 0;
	struct depths depths = {};
	struct finding finding = {};
	struct known *known = 0;
	struct name name = {};
	struct look look = {};
	struct told told = {};
	bool is_known = false;
	long hashed;

	if (!standing)
		return 0;
	finding.epoch = epoch_of(standing);
	if (is_above) {
		look_below(file, &depths);
		below = depths.bottom;
	}
	if (!is_guarded(standing, sb->s_dev) && !(is_above && is_guarded_below(standing, &depths)))
		return 0;
	if (!is_local(sb->s_magic) || (inode->i_flags & S_PRIVATE)) {
		if (hook != PLAIN)
			count(UNJUDGEABLE);
		return 0;
	}

	if (is_above) {
		if (!below)
			return unknown(file, hook, 0);
		look_at(below, &look);
		name_of(below, &name);
		known = bpf_map_lookup_elem(&apart, &name);
	} else {
		look_quickly(inode, &look);
		known = bpf_inode_storage_get(&inodes, inode, 0, 0);
		if (!known && hook == PLAIN) {
			name_of(inode, &name);
			known = bpf_map_lookup_elem(&apart, &name);
		}
	}
	if (hook == PLAIN && (look.writers > 0 || look.size > standing->largest_plain || !may_execute(file)))
		return 0;
	if (hook == EXEC && look.writers > 0) {
		count(BUSIES);
		return -ETXTBSY;
	}
	if (known && is_fresh(known, &look)) {
		__u32 verdict = remembered(finding.epoch, known, hook);

		if (verdict)
			return answer_to(file, known, verdict, hook);
		/* Known by its content, and not yet judged by the rules in force. */
		if ((known->judged & VERDICT) != UNJUDGED && !(known->judged & YOUNG_ONE)) {
			finding.content.algorithm = known->algorithm;
			__builtin_memcpy(finding.content.digest, known->digest, DIGEST);
			is_known = true;
		}
	}
	if (!is_known) {
		if (look.size > standing->largest)
			return unjudged(file, standing, below, &look, &finding, hook, 0);
		if (hook == READ && look.size > standing->largest_script)
			return 0;
		if ((hook == MAP || hook == PLAIN) && is_own_program(inode) && !(sb->s_flags & SB_KERNMOUNT) &&
		    sb->s_magic != OVERLAYFS)
			return 0;
		hashed = bpf_ima_file_hash(file, finding.content.digest, DIGEST);
		if (hashed < 0) {
			/* The kernel hashes nothing that was opened so, and nobody maps a program so. */
			if (hook == MAP && (file->f_flags & O_DIRECT))
				return unknown(file, hook, hashed);
			return unjudged(file, standing, below, &look, &finding, hook, hashed);
		}
		count(HASHED);
		finding.content.algorithm = hashed;
		if (is_above) {
			/* It may have been copied up while it was read. */
			look_below(file, &depths);
			if (depths.bottom != below)
				return unknown(file, hook, 0);
		}
	}
	apply_rules(inode, &finding);
	if (is_known)
		judge_anew(known, &finding);
	else
		remember(standing, file, below, &look, &finding);

	if (finding.verdict == PERMIT || hook == PLAIN)
		return 0;
	told.rule = finding.rule;
	told.hook = hook;
	told.verdict = finding.verdict;
	count(finding.verdict == DENY ? DENIED : SPARES);
	tell(file, &finding.content, &told, true);
	return finding.verdict == DENY ? -EPERM : 0;
}

/* The way that is gone always: a verdict that is remembered and fresh. */
static __always_inline int judge(struct file *file, __u32 hook)
{
	struct standing *standing = how_things_stand();
	struct inode *inode = file->f_inode;
	struct known *known;
	struct look look;
	__u32 verdict;

	if (!standing || !standing->rules || (inode->i_mode & S_IFMT) != S_IFREG)
		return 0;
	known = bpf_inode_storage_get(&inodes, inode, 0, 0);
	if (known) {
		look_quickly(inode, &look);
		if (is_fresh(known, &look)) {
			verdict = remembered(epoch_of(standing), known, hook);
			if (verdict)
				return answer_to(file, known, verdict, hook);
		}
	}
	return judge_slowly(file, hook);
}

/*
 * A mapping that becomes executable. Nothing can be hashed here, so files are judged when they are mapped as data.
 * What was too large then is refused and told, so that user space can have it judged and the next one succeeds. What
 * is being written is code that never was a file.
 */
static __always_inline int judge_mapped(struct vm_area_struct *vma)
{
	struct told told = { .hook = PROTECT, .verdict = UNKNOWN };
	struct standing *standing = how_things_stand();
	struct finding finding = {};
	struct name name = {};
	struct known *known;
	struct look look;
	struct inode *inode;
	struct file *file;
	__u32 verdict = 0;

	file = vma->vm_file;
	if (!standing || !standing->rules || !file)
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) != S_IFREG || (inode->i_flags & S_PRIVATE) || !is_local(inode->i_sb->s_magic) ||
	    !is_guarded(standing, inode->i_sb->s_dev))
		return 0;
	finding.epoch = epoch_of(standing);
	look_quickly(inode, &look);
	known = bpf_inode_storage_get(&inodes, inode, 0, 0);
	if (!known || !is_fresh(known, &look)) {
		name_of(inode, &name);
		known = bpf_map_lookup_elem(&apart, &name);
	}
	if (known && is_fresh(known, &look)) {
		told.rule = known->rule;
		verdict = remembered(finding.epoch, known, PROTECT);
		finding.content.algorithm = known->algorithm;
		__builtin_memcpy(finding.content.digest, known->digest, DIGEST);
		if (!verdict && (known->judged & VERDICT) != UNJUDGED) {
			apply_rules(inode, &finding);
			judge_anew(known, &finding);
			told.rule = finding.rule;
			verdict = finding.verdict;
		}
	}
	if (verdict && verdict != DENY)
		return 0;
	if (!verdict && (look.writers > 0 || look.size > standing->largest || is_open_memfd(inode) ||
			 is_own_program(inode)))
		return 0;
	if (verdict)
		told.verdict = verdict;
	told.mapped_from = vma->vm_start;
	told.mapped_to = vma->vm_end;
	count(verdict ? DENIED : UNKNOWNS);
	tell(file, &finding.content, &told, false);
	return -EPERM;
}

static __always_inline bool is_prober(void)
{
	struct standing *standing = how_things_stand();

	return standing && standing->prober && standing->prober == bpf_get_current_pid_tgid() >> 32;
}

#endif
