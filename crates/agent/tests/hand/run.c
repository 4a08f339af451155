/* Roads on which a file's content comes to run. */
#include "hand.h"
#include <elf.h>
#include <libgen.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#ifndef MS_REC
#define MS_REC 16384
#endif

extern char **environ;

struct road {
    const char *file;
    /* A directory that is not guarded. */
    const char *scratch;
    int pause_ms;
};

/* The child says why it did not get to run the file; nothing when it did. */
static int report;

#define MUST(holds) do { if (!(holds)) tell(TROUBLE, #holds); } while (0)
#define OFFERED(holds, what) do { if (!(holds)) tell(IMPOSSIBLE, what); } while (0)

__attribute__((noreturn)) static void tell(enum kind kind, const char *where) {
    struct outcome outcome = of(kind, where);
    if (write(report, &outcome, sizeof outcome) < 0) _exit(98);
    _exit(99);
}

__attribute__((noreturn)) static void execute(int dir, const char *path, int flags) {
    char *words[] = {(char *)"payload", NULL};
    syscall(SYS_execveat, dir, path, words, environ, flags);
    tell(REFUSED, "execveat");
}

/* Opening it is a step at which it may be refused. */
static int open_it(const char *path, int flags) {
    int file = open(path, flags | O_CLOEXEC);
    if (file < 0) tell(REFUSED, "open");
    return file;
}

static void execute_by_proc(int file) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    execute(AT_FDCWD, path, 0);
}

static void by_path(const struct road *road) { execute(AT_FDCWD, road->file, 0); }
static void by_proc_fd(const struct road *road) { execute_by_proc(open_it(road->file, O_RDONLY)); }
static void by_descriptor(const struct road *road) { execute(open_it(road->file, O_RDONLY), "", AT_EMPTY_PATH); }
static void by_o_path(const struct road *road) { execute(open_it(road->file, O_PATH), "", AT_EMPTY_PATH); }

static void by_directory(const struct road *road) {
    char copy[PATH_MAX], other[PATH_MAX];
    strcpy(copy, road->file);
    strcpy(other, road->file);
    int dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
    MUST(dir >= 0);
    execute(dir, basename(other), 0);
}

static void deleted(const struct road *road) {
    int file = open_it(road->file, O_RDONLY);
    MUST(unlink(road->file) == 0);
    execute(file, "", AT_EMPTY_PATH);
}

/* Gives a file without a name the bytes of another, and opens it for reading only. */
static int filled(int file, const char *source) {
    struct bytes bytes;
    char path[64];
    MUST(read_whole(source, &bytes) && write_whole(file, &bytes) && fchmod(file, 0755) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int reader = open_it(path, O_RDONLY);
    close(file);
    return reader;
}

/* SCRATCH is the directory, and the bytes come from elsewhere. */
static void without_name(const struct road *road) {
    int file = open(road->scratch, O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
    OFFERED(file >= 0, "O_TMPFILE");
    execute(filled(file, road->file), "", AT_EMPTY_PATH);
}

static int memory_file(const struct road *road) {
    int file = memfd_create("payload", MFD_CLOEXEC);
    OFFERED(file >= 0, "memfd_create");
    return filled(file, road->file);
}

static void memfd(const struct road *road) { execute(memory_file(road), "", AT_EMPTY_PATH); }
static void memfd_by_proc(const struct road *road) { execute_by_proc(memory_file(road)); }

/* Mounts made from here on are seen by nobody else. */
static void enter_namespace(int flags) {
    unsigned uid = getuid(), gid = getgid();
    OFFERED(unshare(CLONE_NEWNS | flags) == 0, "unshare");
    if (flags & CLONE_NEWUSER) {
        const struct { const char *path; unsigned id; } maps[] = {
            {"/proc/self/setgroups", 0}, {"/proc/self/uid_map", uid}, {"/proc/self/gid_map", gid}};
        for (int map = 0; map < 3; map++) {
            int file = open(maps[map].path, O_WRONLY | O_CLOEXEC);
            MUST(file >= 0 && (map ? dprintf(file, "0 %u 1\n", maps[map].id) : dprintf(file, "deny\n")) > 0);
            close(file);
        }
    }
    MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static const char *directory(const struct road *road, const char *name) {
    static char paths[4][PATH_MAX];
    static int used;
    char *path = paths[used++];
    snprintf(path, PATH_MAX, "%s/%s", road->scratch, name);
    MUST(mkdir(path, 0755) == 0 || errno == EEXIST);
    return path;
}

static void mount_tmpfs(const char *point) {
    OFFERED(mount("tmpfs", point, "tmpfs", 0, "size=16m") == 0, "mount of a tmpfs");
}

/* Until `go` is there, and no longer than the pause. */
static void await_go(const struct road *road) {
    char go[PATH_MAX];
    snprintf(go, sizeof go, "%s/go", road->scratch);
    for (int waited = 0; waited < road->pause_ms && access(go, F_OK) < 0; waited++) usleep(1000);
}

static void execute_below(const struct road *road, const char *point) {
    char copy[PATH_MAX], path[PATH_MAX * 2];
    strcpy(copy, road->file);
    snprintf(path, sizeof path, "%s/%s", point, basename(copy));
    await_go(road);
    execute(AT_FDCWD, path, 0);
}

static void other_namespace(const struct road *road) {
    enter_namespace(0);
    by_path(road);
}

static void user_namespace(const struct road *road) {
    enter_namespace(CLONE_NEWUSER);
    by_path(road);
}

static const char *directory_of(const struct road *road) {
    static char copy[PATH_MAX];
    strcpy(copy, road->file);
    return dirname(copy);
}

static void bind_mount(const struct road *road) {
    enter_namespace(0);
    const char *point = directory(road, "point");
    MUST(mount(directory_of(road), point, NULL, MS_BIND, NULL) == 0);
    execute_below(road, point);
}

static void detached_tree(const struct road *road) {
    char copy[PATH_MAX];
    strcpy(copy, road->file);
    int tree = syscall(SYS_open_tree, AT_FDCWD, directory_of(road), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    OFFERED(tree >= 0, "open_tree");
    execute(tree, basename(copy), 0);
}

static void new_tmpfs(const struct road *road, int flags) {
    enter_namespace(flags);
    const char *point = directory(road, "point");
    mount_tmpfs(point);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/payload", point);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
    MUST(file >= 0);
    close(filled(file, road->file));
    await_go(road);
    execute(AT_FDCWD, path, 0);
}

static void tmpfs(const struct road *road) { new_tmpfs(road, 0); }
static void users_tmpfs(const struct road *road) { new_tmpfs(road, CLONE_NEWUSER); }

static void mount_overlay(const char *point, const char *options) {
    OFFERED(mount("overlay", point, "overlay", 0, options) == 0, "mount of an overlay");
}

/* The file lies in the lower directory, and there is nothing to write to. */
static void overlay_lower(const struct road *road) {
    char options[PATH_MAX * 3];
    enter_namespace(0);
    const char *point = directory(road, "point");
    snprintf(options, sizeof options, "lowerdir=%s:%s", directory_of(road), directory(road, "empty"));
    mount_overlay(point, options);
    execute_below(road, point);
}

/* The file lies in the upper directory; beside it is room for the overlay's own things. */
static void overlay_upper(const struct road *road) {
    char options[PATH_MAX * 3], work[PATH_MAX];
    enter_namespace(0);
    const char *point = directory(road, "point");
    snprintf(work, sizeof work, "%s.work", directory_of(road));
    MUST(mkdir(work, 0755) == 0 || errno == EEXIST);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", directory(road, "empty"),
             directory_of(road), work);
    mount_overlay(point, options);
    execute_below(road, point);
}

/* The file was in the lower directory, and is written through the overlay: a copy on a new filesystem. */
static void overlay_copied_up(const struct road *road) {
    char options[PATH_MAX * 4], upper[PATH_MAX], work[PATH_MAX], copy[PATH_MAX], path[PATH_MAX * 2];
    enter_namespace(0);
    const char *point = directory(road, "point"), *layers = directory(road, "layers");
    mount_tmpfs(layers);
    snprintf(upper, sizeof upper, "%s/upper", layers);
    snprintf(work, sizeof work, "%s/work", layers);
    MUST(mkdir(upper, 0755) == 0 && mkdir(work, 0755) == 0);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", directory_of(road), upper, work);
    mount_overlay(point, options);
    strcpy(copy, road->file);
    snprintf(path, sizeof path, "%s/%s", point, basename(copy));
    int file = open_it(path, O_WRONLY | O_APPEND);
    close(file);
    execute_below(road, point);
}

/* From its entry on, whatever memory it lies in. */
__attribute__((noreturn)) static void jump_into(void *at) {
    const Elf64_Ehdr *head = at;
    void (*entry)(void) = (void (*)(void))((char *)at + head->e_entry);
    entry();
    _exit(97);
}

static void *map_it(const struct road *road, int protection) {
    struct stat stat;
    int file = open_it(road->file, O_RDONLY);
    MUST(fstat(file, &stat) == 0);
    void *at = mmap(0, stat.st_size, protection, MAP_PRIVATE, file, 0);
    if (at == MAP_FAILED) tell(REFUSED, "mmap");
    return at;
}

static void mapped(const struct road *road) { jump_into(map_it(road, PROT_READ | PROT_EXEC)); }

static void mapped_then_protected(const struct road *road) {
    struct stat status;
    void *at = map_it(road, PROT_READ);
    MUST(stat(road->file, &status) == 0);
    if (mprotect(at, status.st_size, PROT_READ | PROT_EXEC) < 0) tell(REFUSED, "mprotect");
    jump_into(at);
}

static void read_into_memory(const struct road *road) {
    struct stat stat;
    int file = open_it(road->file, O_RDONLY);
    MUST(fstat(file, &stat) == 0);
    void *at = mmap(0, stat.st_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(at != MAP_FAILED);
    if (read(file, at, stat.st_size) != stat.st_size) tell(REFUSED, "read");
    jump_into(at);
}

static const struct {
    const char *name;
    void (*go)(const struct road *);
} ROADS[] = {
    {"path", by_path},
    {"proc-fd", by_proc_fd},
    {"descriptor", by_descriptor},
    {"o-path", by_o_path},
    {"directory", by_directory},
    {"deleted", deleted},
    {"tmpfile", without_name},
    {"memfd", memfd},
    {"memfd-proc", memfd_by_proc},
    {"namespace", other_namespace},
    {"user-namespace", user_namespace},
    {"bind", bind_mount},
    {"open-tree", detached_tree},
    {"tmpfs", tmpfs},
    {"users-tmpfs", users_tmpfs},
    {"overlay-lower", overlay_lower},
    {"overlay-upper", overlay_upper},
    {"overlay-copied-up", overlay_copied_up},
    {"map", mapped},
    {"map-protect", mapped_then_protected},
    {"read", read_into_memory},
};

static struct outcome travel(void (*go)(const struct road *), const struct road *road) {
    struct outcome outcome;
    int pipes[2], status;
    TRY(pipe2(pipes, O_CLOEXEC) == 0);
    report = pipes[1];
    /* It shares our memory, which is what makes many runs cheap; the simplest road changes none of it. */
    pid_t child = go == by_path ? vfork() : fork();
    if (child == 0) {
        go(road);
        tell(TROUBLE, "it went on");
    }
    close(pipes[1]);
    TRY(child > 0);
    ssize_t told = read(pipes[0], &outcome, sizeof outcome);
    close(pipes[0]);
    TRY(waitpid(child, &status, 0) == child);
    if (told == sizeof outcome) return outcome;
    TRY(told == 0);
    outcome.kind = ENDED;
    outcome.number = status;
    return outcome;
}

struct outcome run(const char *name, const char *file, const char *scratch, int pause_ms) {
    const struct road road = {file, scratch, pause_ms};
    for (size_t at = 0; at < sizeof ROADS / sizeof *ROADS; at++) {
        if (strcmp(ROADS[at].name, name) == 0) return travel(ROADS[at].go, &road);
    }
    return of(TROUBLE, "no such road");
}
