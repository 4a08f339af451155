/* Ways to change what a file holds. */
#include "hand.h"
#include <linux/falloc.h>
#include <sys/sendfile.h>

struct job {
    const char *target;
    int file;
    struct bytes bytes;
};

static struct outcome plain(struct job *job) {
    for (size_t done = 0; done < job->bytes.size;) {
        ssize_t wrote = write(job->file, job->bytes.at + done, job->bytes.size - done);
        TRY(wrote > 0);
        done += wrote;
    }
    return of(DONE, "");
}

static struct outcome positioned(struct job *job) {
    TRY(write_whole(job->file, &job->bytes));
    return of(DONE, "");
}

/* A file with the bytes beside the target: not every way goes from one filesystem to another. */
static int twin(struct job *job, char path[4096]) {
    snprintf(path, 4096, "%s.twin.%d", job->target, getpid());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (file >= 0 && (!write_whole(file, &job->bytes) || fchmod(file, 0755) < 0)) {
        close(file);
        return -1;
    }
    return file;
}

static struct outcome move_bytes(struct job *job, ssize_t (*move)(int from, int to, loff_t *at, size_t size)) {
    char path[4096];
    int from = twin(job, path);
    TRY(from >= 0);
    loff_t at = 0;
    while ((size_t)at < job->bytes.size) {
        ssize_t moved = move(from, job->file, &at, job->bytes.size - at);
        if (moved <= 0) break;
    }
    int error = errno;
    unlink(path);
    close(from);
    errno = error;
    TRY((size_t)at == job->bytes.size);
    return of(DONE, "");
}

static ssize_t send_piece(int from, int to, loff_t *at, size_t size) { return sendfile(to, from, at, size); }

static ssize_t range_piece(int from, int to, loff_t *at, size_t size) {
    return copy_file_range(from, at, to, NULL, size, 0);
}

static ssize_t splice_piece(int from, int to, loff_t *at, size_t size) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) return -1;
    ssize_t moved = splice(from, at, pipes[1], NULL, size < 65536 ? size : 65536, SPLICE_F_MOVE);
    for (ssize_t left = moved; left > 0;) {
        ssize_t out = splice(pipes[0], NULL, to, NULL, left, SPLICE_F_MOVE);
        if (out <= 0) { moved = -1; break; }
        left -= out;
    }
    close(pipes[0]);
    close(pipes[1]);
    return moved;
}

static struct outcome sent(struct job *job) { return move_bytes(job, send_piece); }
static struct outcome spliced(struct job *job) { return move_bytes(job, splice_piece); }
static struct outcome copied(struct job *job) { return move_bytes(job, range_piece); }
static struct outcome aio(struct job *job) { return by_aio(job->file, &job->bytes); }
static struct outcome ring(struct job *job) { return by_io_uring(job->file, &job->bytes); }
static struct outcome loop(struct job *job) { return by_loop_device(job->target, &job->bytes); }

/* Where in the file the page of the version is. */
static off_t version_page(struct job *job) {
    char *found = memmem(job->bytes.at, job->bytes.size, "quell payload: this is version", 30);
    return found ? found - job->bytes.at : -1;
}

static struct outcome truncated(struct job *job) {
    off_t page = version_page(job);
    TRY(page > 0 && ftruncate(job->file, page + 31) == 0);
    return of(DONE, "");
}

static struct outcome emptied(struct job *job, int mode) {
    off_t page = version_page(job);
    TRY(page > 0 && page % 4096 == 0);
    if (fallocate(job->file, mode, page, 4096) == 0) return of(DONE, "");
    return of(errno == EOPNOTSUPP ? IMPOSSIBLE : TROUBLE, "fallocate");
}

static struct outcome zeroed(struct job *job) { return emptied(job, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE); }
static struct outcome punched(struct job *job) { return emptied(job, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE); }

static struct outcome times_put_back(struct job *job) {
    struct stat before;
    TRY(fstat(job->file, &before) == 0 && write_whole(job->file, &job->bytes));
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    TRY(futimens(job->file, times) == 0);
    return of(DONE, "");
}

static struct outcome mode_put_back(struct job *job) {
    TRY(fchmod(job->file, 0600) == 0 && write_whole(job->file, &job->bytes) && fchmod(job->file, 0755) == 0);
    return of(DONE, "");
}

static struct outcome renamed_over(struct job *job) {
    char path[4096];
    int file = twin(job, path);
    TRY(file >= 0);
    close(file);
    TRY(rename(path, job->target) == 0);
    return of(DONE, "");
}

static char *map(struct job *job) {
    char *at = mmap(0, job->bytes.size, PROT_READ | PROT_WRITE, MAP_SHARED, job->file, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Each page is touched before it is changed: read (on tmpfs it is then written without a fault) or written. */
static struct outcome mapped(struct job *job, int reads_first, int closes_first) {
    char *at = map(job);
    TRY(at);
    volatile char seen = 0;
    for (size_t page = 0; reads_first && page < job->bytes.size; page += 4096) seen += at[page];
    if (closes_first) {
        close(job->file);
        job->file = -1;
    }
    memcpy(at, job->bytes.at, job->bytes.size);
    TRY(!closes_first || msync(at, job->bytes.size, MS_SYNC) == 0);
    TRY(munmap(at, job->bytes.size) == 0);
    return of(DONE, "");
}

static struct outcome stored(struct job *job) { return mapped(job, 0, 0); }
static struct outcome stored_and_synced(struct job *job) { return mapped(job, 0, 1); }
static struct outcome read_and_stored(struct job *job) { return mapped(job, 1, 0); }

/* Its pages are dirty with their own bytes when whoever guards it looks; the change then leaves no trace. */
static struct outcome dirtied_before(struct job *job) {
    char *at = map(job);
    TRY(at);
    for (size_t page = 0; page < job->bytes.size; page += 4096) *(volatile char *)(at + page) = at[page];
    close(job->file);
    job->file = -1;
    for (int asked = 0; asked < 2; asked++) {
        struct outcome outcome = run("path", job->target, "", 0);
        TRY(outcome.kind == REFUSED);
    }
    memcpy(at, job->bytes.at, job->bytes.size);
    TRY(munmap(at, job->bytes.size) == 0);
    return of(DONE, "");
}

/* A new file that has, where the filesystem gives it back, the old one's inode number. */
static struct outcome number_reused(struct job *job) {
    enum { MOST = 8 };
    struct stat old, new;
    int files[MOST], count = 0;
    char path[4096], names[MOST][4096];
    TRY(fstat(job->file, &old) == 0);
    close(job->file);
    job->file = -1;
    TRY(unlink(job->target) == 0);
    do {
        snprintf(names[count], sizeof path, "%s.new.%d", job->target, count);
        files[count] = open(names[count], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        TRY(files[count] >= 0 && fstat(files[count], &new) == 0);
    } while (++count < MOST && new.st_ino != old.st_ino);
    TRY(write_whole(files[count - 1], &job->bytes) && fchmod(files[count - 1], 0755) == 0);
    TRY(rename(names[count - 1], job->target) == 0);
    for (int file = 0; file < count; file++) {
        close(files[file]);
        if (file < count - 1) unlink(names[file]);
    }
    return of(DONE, "");
}

static const struct {
    const char *name;
    int flags;
    struct outcome (*change)(struct job *);
} WAYS[] = {
    {"write", O_WRONLY, plain},
    {"truncate-write", O_WRONLY | O_TRUNC, plain},
    {"pwrite", O_WRONLY, positioned},
    {"direct", O_WRONLY | O_DIRECT, positioned},
    {"sendfile", O_WRONLY, sent},
    {"splice", O_WRONLY, spliced},
    {"copy_file_range", O_WRONLY, copied},
    {"io_uring", O_WRONLY, ring},
    {"aio", O_WRONLY, aio},
    {"loop", O_RDONLY, loop},
    {"truncate", O_WRONLY, truncated},
    {"zero", O_WRONLY, zeroed},
    {"punch", O_WRONLY, punched},
    {"pwrite-times", O_WRONLY, times_put_back},
    {"pwrite-mode", O_WRONLY, mode_put_back},
    {"rename", O_RDONLY, renamed_over},
    {"map", O_RDWR, stored},
    {"map-msync", O_RDWR, stored_and_synced},
    {"map-read-first", O_RDWR, read_and_stored},
    {"map-dirty-first", O_RDWR, dirtied_before},
    {"reuse", O_RDONLY, number_reused},
};

int open_patiently(const char *path, int flags) {
    int file = -1;
    for (int tries = 0; file < 0 && tries < 50000; tries++) {
        if (tries) usleep(100);
        file = open(path, flags | O_CLOEXEC);
        if (errno != ETXTBSY) break;
    }
    return file;
}

struct outcome change(const char *way, const char *target, const char *source) {
    for (size_t at = 0; at < sizeof WAYS / sizeof *WAYS; at++) {
        if (strcmp(WAYS[at].name, way) != 0) continue;
        struct job job = {.target = target};
        TRY(read_whole(source, &job.bytes));
        job.file = open_patiently(target, WAYS[at].flags);
        if (job.file < 0) {
            int error = errno;
            free(job.bytes.at);
            errno = error;
            /* EPERM is the guard's, where it is asked about opens. */
            return of(error == EINVAL || error == EPERM ? IMPOSSIBLE : TROUBLE, "open");
        }
        struct outcome outcome = WAYS[at].change(&job);
        if (job.file >= 0) close(job.file);
        free(job.bytes.at);
        return outcome;
    }
    return of(TROUBLE, "no such way");
}
