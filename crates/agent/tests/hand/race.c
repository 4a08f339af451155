/* A writer and an exec of the same file at the same time. */
#include "hand.h"
#include <unistd.h>

/* What is written is less than the file: whoever hashes it from its beginning is far behind that soon. */
static void write_start(int file, const struct bytes *bytes) {
    if (file >= 0 && pwrite(file, bytes->at, bytes->size < 65536 ? bytes->size : 65536, 0) < 0) _exit(98);
}

/* Another process writes the start of the file some time after this one has begun to execute it, or before that when
 * the time is negative. It `stays` (has the file open from before), or `comes` (opens it then). */
struct outcome race(const char *writer, const char *target, const char *source, int delay_us) {
    struct bytes bytes;
    int comes = strcmp(writer, "comes") == 0, file = -1, status;
    TRY(read_whole(source, &bytes));
    if (!comes) TRY((file = open(target, O_WRONLY | O_CLOEXEC)) >= 0);
    pid_t child = fork();
    TRY(child >= 0);
    if (child == 0) {
        if (delay_us > 0) usleep(delay_us);
        /* It comes too late when the program runs. */
        if (comes) file = open(target, O_WRONLY | O_CLOEXEC);
        write_start(file, &bytes);
        _exit(0);
    }
    if (file >= 0) close(file);
    free(bytes.at);
    if (delay_us < 0) usleep(-delay_us);
    struct outcome outcome;
    for (int tries = 0; tries < 1000; tries++) {
        outcome = run("path", target, "", 0);
        if (outcome.kind != REFUSED || outcome.number != ETXTBSY) break;
    }
    TRY(waitpid(child, &status, 0) == child && status == 0);
    return outcome;
}
