/* Writing by Linux AIO, by io_uring, and through a loop device. */
#include "hand.h"
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

struct outcome by_aio(int file, const struct bytes *bytes) {
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 1, &context) < 0) return of(errno == ENOSYS ? IMPOSSIBLE : TROUBLE, "io_setup");
    struct iocb write = {
        .aio_lio_opcode = IOCB_CMD_PWRITE,
        .aio_fildes = file,
        .aio_buf = (unsigned long)bytes->at,
        .aio_nbytes = bytes->size,
    };
    struct iocb *writes[] = {&write};
    struct io_event event;
    TRY(syscall(SYS_io_submit, context, 1, writes) == 1);
    TRY(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1);
    syscall(SYS_io_destroy, context);
    TRY(event.res == (long long)bytes->size);
    return of(DONE, "");
}

struct outcome by_io_uring(int file, const struct bytes *bytes) {
    struct io_uring_params params = {0};
    int ring = syscall(SYS_io_uring_setup, 1, &params);
    if (ring < 0) return of(errno == ENOSYS || errno == EPERM ? IMPOSSIBLE : TROUBLE, "io_uring_setup");
    size_t submit_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t done_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t entries_size = params.sq_entries * sizeof(struct io_uring_sqe);
    int both = PROT_READ | PROT_WRITE;
    char *submit = mmap(0, submit_size, both, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *done = mmap(0, done_size, both, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entry = mmap(0, entries_size, both, MAP_SHARED, ring, IORING_OFF_SQES);
    TRY(submit != MAP_FAILED && done != MAP_FAILED && entry != MAP_FAILED);
    *entry = (struct io_uring_sqe){
        .opcode = IORING_OP_WRITE, .fd = file, .addr = (unsigned long)bytes->at, .len = bytes->size};
    *(unsigned *)(submit + params.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(submit + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    TRY(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
    struct io_uring_cqe *result = (struct io_uring_cqe *)(done + params.cq_off.cqes);
    int wrote = result->res;
    munmap(entry, entries_size);
    munmap(done, done_size);
    munmap(submit, submit_size);
    close(ring);
    TRY(wrote == (int)bytes->size);
    return of(DONE, "");
}

/* A loop device over the target; none, while others take each one that is free. */
static int attach(const char *target) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), device = -1;
    int file = open_patiently(target, O_RDWR);
    for (int tries = 0; control >= 0 && file >= 0 && tries < 50; tries++) {
        char name[32];
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        snprintf(name, sizeof name, "/dev/loop%d", number);
        device = open(name, O_RDWR | O_CLOEXEC);
        if (device >= 0 && ioctl(device, LOOP_SET_FD, file) == 0) break;
        if (device >= 0) close(device);
        device = -1;
        if (errno != EBUSY) break;
    }
    int error = errno;
    if (file >= 0) close(file);
    if (control >= 0) close(control);
    errno = error;
    return device;
}

struct outcome by_loop_device(const char *target, const struct bytes *bytes) {
    int device = attach(target);
    if (device < 0) return of(IMPOSSIBLE, "no loop device");
    int wrote = write_whole(device, bytes) && fsync(device) == 0;
    int error = errno;
    int detached = ioctl(device, LOOP_CLR_FD) == 0;
    close(device);
    if (!wrote) errno = error;
    TRY(wrote && detached);
    return of(DONE, "");
}
