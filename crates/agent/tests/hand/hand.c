/* Reads orders and answers them. */
#include "hand.h"

struct outcome of(enum kind kind, const char *where) {
    struct outcome outcome = {.kind = kind, .number = errno};
    snprintf(outcome.where, sizeof outcome.where, "%s", where);
    return outcome;
}

int read_whole(const char *path, struct bytes *bytes) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (file < 0 || fstat(file, &stat) < 0) return 0;
    bytes->size = stat.st_size;
    bytes->at = aligned_alloc(4096, (bytes->size + 4095) / 4096 * 4096);
    size_t done = 0;
    while (bytes->at && done < bytes->size) {
        ssize_t got = pread(file, bytes->at + done, bytes->size - done, done);
        if (got <= 0) break;
        done += got;
    }
    close(file);
    return bytes->at && done == bytes->size;
}

int write_whole(int file, const struct bytes *bytes) {
    return pwrite(file, bytes->at, bytes->size, 0) == (ssize_t)bytes->size;
}

static void answer(struct outcome outcome) {
    switch (outcome.kind) {
    case DONE: printf("done\n"); break;
    case ENDED:
        if (WIFEXITED(outcome.number)) printf("exit %d\n", WEXITSTATUS(outcome.number));
        else printf("signal %d\n", WTERMSIG(outcome.number));
        break;
    case REFUSED: printf("errno %d\n", outcome.number); break;
    case IMPOSSIBLE: printf("impossible %s: %s\n", outcome.where, strerror(outcome.number)); break;
    case TROUBLE: printf("trouble %s: %s\n", outcome.where, strerror(outcome.number)); break;
    }
    fflush(stdout);
}

static struct outcome obey(char *words[5], int count) {
    errno = 0;
    if (count == 4 && strcmp(words[0], "change") == 0) return change(words[1], words[2], words[3]);
    if (count == 4 && strcmp(words[0], "change-run") == 0) {
        struct outcome outcome = change(words[1], words[2], words[3]);
        return outcome.kind == DONE ? run("path", words[2], "", 0) : outcome;
    }
    if (count == 5 && strcmp(words[0], "run") == 0) return run(words[1], words[2], words[3], atoi(words[4]));
    if (count == 5 && strcmp(words[0], "race") == 0) return race(words[1], words[2], words[3], atoi(words[4]));
    return of(TROUBLE, "no such order");
}

int main(void) {
    char line[16384];
    while (fgets(line, sizeof line, stdin)) {
        char *words[5] = {0};
        int count = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *rest = line, *word; count < 5 && (word = strsep(&rest, "\t"));) words[count++] = word;
        answer(obey(words, count));
    }
    return 0;
}
