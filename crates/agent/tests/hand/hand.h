/* A process of its own that changes files and runs them, in each way that the kernel has.
 *
 * It reads one order a line, words apart by tabs, and says in one line what became of it:
 *     change WAY TARGET SOURCE          give TARGET the bytes of SOURCE
 *     run ROAD FILE SCRATCH PAUSE_MS    have FILE run
 *     change-run WAY TARGET SOURCE      change, and run it by its path at once
 *     race WRITER TARGET SOURCE DELAY_US    run it while somebody changes it
 * Answers: `done`, `exit N`, `signal N`, `errno N` (the step that runs the file was refused),
 * `impossible WHY` (not offered here), `trouble WHERE: WHY` (the order itself went wrong). */
#ifndef HAND_H
#define HAND_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { DONE, ENDED, REFUSED, IMPOSSIBLE, TROUBLE };

/* What became of an order. For ENDED `number` is what waitpid said, else an errno. */
struct outcome {
    enum kind kind;
    int number;
    char where[80];
};

struct outcome of(enum kind kind, const char *where);
#define TRY(holds) do { if (!(holds)) return of(TROUBLE, #holds); } while (0)

/* The bytes of a file. */
struct bytes {
    char *at;
    size_t size;
};
/* Whether they could be read; into memory of their own, aligned to pages. */
int read_whole(const char *path, struct bytes *bytes);
int write_whole(int file, const struct bytes *bytes);

/* Opens a file to write to it, waiting for those to end who run it. */
int open_patiently(const char *path, int flags);

struct outcome change(const char *way, const char *target, const char *source);
struct outcome run(const char *road, const char *file, const char *scratch, int pause_ms);
struct outcome race(const char *writer, const char *target, const char *source, int delay_us);

/* Ways that take more than a few lines. */
struct outcome by_aio(int file, const struct bytes *bytes);
struct outcome by_io_uring(int file, const struct bytes *bytes);
struct outcome by_loop_device(const char *target, const struct bytes *bytes);

#endif
