/* Changes a file in one of several ways and then executes it at once.
 * rewrite KIND TARGET SOURCE DELAY
 * Ends with what the program ends with, or 100 + errno of execve; 99 if something else went wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int holds) {
    if (!holds) _exit(99);
}

int main(int count, char **words) {
    check(count == 5);
    const char *kind = words[1], *target = words[2];
    int source = open(words[3], O_RDONLY | O_CLOEXEC);
    struct stat stat;
    check(source >= 0 && fstat(source, &stat) == 0);
    size_t size = stat.st_size;
    char *bytes = mmap(0, size, PROT_READ, MAP_SHARED | MAP_POPULATE, source, 0);
    check(bytes != MAP_FAILED);
    int truncates = strcmp(kind, "truncate") == 0;
    int other = strcmp(kind, "stays") == 0 || strcmp(kind, "comes") == 0;
    int file = open(target, O_RDWR | O_CLOEXEC | (truncates ? O_TRUNC : 0));
    check(file >= 0);
    if (truncates || strcmp(kind, "write") == 0) {
        check(pwrite(file, bytes, size, 0) == (ssize_t)size);
    } else if (strncmp(kind, "map", 3) == 0) {
        char *map = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        check(map != MAP_FAILED);
        volatile char seen = 0;
        /* A page that was read through a writable mapping of tmpfs is then written without a fault. */
        if (strcmp(kind, "map-read-first") == 0)
            for (size_t at = 0; at < size; at += 4096) seen += map[at];
        memcpy(map, bytes, size);
        check(munmap(map, size) == 0);
    } else if (other) {
        /* Another process writes the start of the file while this one executes it. */
        int comes = strcmp(kind, "comes") == 0;
        if (comes) close(file);
        if (fork() == 0) {
            usleep(atoi(words[4]));
            if (comes) file = open(target, O_RDWR | O_CLOEXEC);
            /* It comes too late when the program runs. */
            if (file >= 0) check(pwrite(file, bytes, size < 65536 ? size : 65536, 0) > 0);
            _exit(0);
        }
    } else {
        check(0);
    }
    close(file);
    for (int tries = 0; tries < (other ? 1000 : 1); tries++) {
        execl(target, target, (char *)0);
        if (errno != ETXTBSY) break;
    }
    _exit(100 + errno);
}
