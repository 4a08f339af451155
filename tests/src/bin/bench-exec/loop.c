// Does one thing again and again with the cheapest means there is, and says (stderr) the nanoseconds of one time.
//
//   loop exec PROGRAM COUNT   start it and wait for its end
//   loop open FILE COUNT      open, read a page, close
//   loop first DIRECTORY COUNT  start the programs 0, 1, … in it, each once
//   loop run PROGRAM [ARGUMENT...]  start it once, on any processor
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int start(char **arguments) {
  char *const none[] = {NULL};
  pid_t pid = vfork();
  if (pid == 0) {
    execve(arguments[0], arguments, none);
    _exit(127);
  }
  int status;
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static int open_once(const char *path) {
  char page[4096];
  int file = open(path, O_RDONLY);
  return file >= 0 && read(file, page, sizeof page) == sizeof page && close(file) == 0;
}

static void stay_here(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *what = argv[1];
  int is_run = strcmp(what, "run") == 0;
  long count = is_run ? 1 : atol(argv[3]);
  struct timespec from, to;
  if (!is_run) stay_here();
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (long i = 0; i < count; i++) {
    char path[256];
    char *arguments[] = {argv[2], NULL};
    int done;
    if (is_run) {
      done = start(argv + 2);
    } else if (strcmp(what, "open") == 0) {
      done = open_once(argv[2]);
    } else if (strcmp(what, "first") == 0) {
      snprintf(path, sizeof path, "%s/%ld", argv[2], i);
      arguments[0] = path;
      done = start(arguments);
    } else {
      done = start(arguments);
    }
    if (!done) return 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  fprintf(stderr, "%f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / count);
  return 0;
}
