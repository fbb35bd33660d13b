#define _GNU_SOURCE
#include "CUring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct curing {
    struct io_uring ring;
    struct __kernel_timespec alarm; // read while it is submitted
    bool is_restricted;
};

struct curing_buffers {
    struct io_uring_buf_ring *ring;
    unsigned char *memory;
    size_t ring_bytes;
    size_t memory_bytes;
    unsigned count;
    unsigned byte_count;
    unsigned pending;
    uint16_t group;
};

_Static_assert(CURING_MORE == IORING_CQE_F_MORE, "flag mirrors the kernel's");
_Static_assert(CURING_BUFFER == IORING_CQE_F_BUFFER, "flag mirrors the kernel's");
_Static_assert(CURING_OPEN_HOW_BYTES == sizeof(struct open_how), "size mirrors the kernel's");

struct rules {
    struct io_uring_restriction all[32];
    unsigned count;
};

static void allow(struct rules *rules, uint16_t kind, const uint8_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct io_uring_restriction rule = {.opcode = kind};
        rule.sqe_op = values[i];
        rules->all[rules->count++] = rule;
    }
}

// liburing declares functions for these, and its shared library does not have them everywhere.
static int enroll(struct io_uring *ring, unsigned opcode, const void *values, unsigned count)
{
    return syscall(__NR_io_uring_register, ring->ring_fd, opcode, values, count) < 0 ? -errno : 0;
}

// Called while the ring is disabled. Without it the ring can do everything, and works the same.
static bool restrict_uses(struct io_uring *ring, unsigned uses)
{
    static const uint8_t always[] = {IORING_OP_NOP, IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT, IORING_OP_POLL_ADD};
    static const uint8_t network[] = {IORING_OP_RECVMSG, IORING_OP_SENDMSG};
    static const uint8_t files[] = {IORING_OP_OPENAT2, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC,
                                    IORING_OP_SYNC_FILE_RANGE};
    static const uint8_t registers[] = {IORING_REGISTER_FILES2, IORING_REGISTER_FILES_UPDATE,
                                        IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING,
                                        IORING_REGISTER_SYNC_CANCEL, IORING_REGISTER_RING_FDS,
                                        IORING_UNREGISTER_RING_FDS};
    static const uint8_t flags[] = {IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS};
    struct rules rules = {.count = 0};
    allow(&rules, IORING_RESTRICTION_SQE_OP, always, sizeof(always));
    if (uses & CURING_NETWORK)
        allow(&rules, IORING_RESTRICTION_SQE_OP, network, sizeof(network));
    if (uses & CURING_FILES)
        allow(&rules, IORING_RESTRICTION_SQE_OP, files, sizeof(files));
    allow(&rules, IORING_RESTRICTION_REGISTER_OP, registers, sizeof(registers));
    allow(&rules, IORING_RESTRICTION_SQE_FLAGS_ALLOWED, flags, sizeof(flags));
    return enroll(ring, IORING_REGISTER_RESTRICTIONS, rules.all, rules.count) == 0;
}

bool curing_is_restricted(curing *ring) { return ring->is_restricted; }

int curing_create(unsigned entries, unsigned completions, unsigned uses, curing **out)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                 (uses ? IORING_SETUP_R_DISABLED : 0),
        .cq_entries = completions,
    };
    curing *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    int result = io_uring_queue_init_params(entries, &ring->ring, &params);
    if (result < 0) {
        free(ring);
        return result;
    }
    if (uses) {
        ring->is_restricted = restrict_uses(&ring->ring, uses);
        // This thread is the one that may submit from now on.
        result = enroll(&ring->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        if (result < 0) {
            io_uring_queue_exit(&ring->ring);
            free(ring);
            return result;
        }
    }
    // Saves a file lookup on each enter; without it everything works the same.
    (void)io_uring_register_ring_fd(&ring->ring);
    *out = ring;
    return 0;
}

void curing_destroy(curing *ring)
{
    io_uring_queue_exit(&ring->ring);
    free(ring);
}

// What liburing's own flush does; there it is not exported, and its submit-and-wait enters without
// GETEVENTS when a completion is already there, which leaves deferred work undone.
static unsigned flush(struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;
    if (sq->sqe_head != sq->sqe_tail) {
        sq->sqe_head = sq->sqe_tail;
        __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    }
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

int curing_enter(curing *curing, unsigned wait_count, int64_t timeout_ns)
{
    struct io_uring *ring = &curing->ring;
    struct __kernel_timespec timeout = {
        .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    struct io_uring_getevents_arg argument = {
        .sigmask_sz = _NSIG / 8,
        .ts = timeout_ns < 0 ? 0 : (uint64_t)(uintptr_t)&timeout,
    };
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (ring->enter_ring_fd != ring->ring_fd)
        flags |= IORING_ENTER_REGISTERED_RING;
    return io_uring_enter2(ring->enter_ring_fd, flush(ring), wait_count, flags,
                           (sigset_t *)&argument, sizeof(argument));
}

unsigned curing_queued(curing *ring)
{
    return ring->ring.sq.sqe_tail - __atomic_load_n(ring->ring.sq.khead, __ATOMIC_ACQUIRE);
}

unsigned curing_drain(curing *ring, curing_completion *out, unsigned count)
{
    struct io_uring_cqe *cqe;
    unsigned head, drained = 0;
    io_uring_for_each_cqe(&ring->ring, head, cqe) {
        if (drained == count)
            break;
        out[drained++] = (curing_completion){cqe->user_data, cqe->res, cqe->flags};
    }
    io_uring_cq_advance(&ring->ring, drained);
    return drained;
}

bool curing_overflowed(curing *ring)
{
    return __atomic_load_n(ring->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

void curing_cancel_all(curing *ring)
{
    struct io_uring_sync_cancel_reg registration = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = 5},
    };
    (void)io_uring_register_sync_cancel(&ring->ring, &registration);
}

int curing_register_files(curing *ring, unsigned count)
{
    return io_uring_register_files_sparse(&ring->ring, count);
}

int curing_update_file(curing *ring, unsigned index, int fd)
{
    return io_uring_register_files_update(&ring->ring, index, &fd, 1);
}

int curing_buffers_create(curing *ring, uint16_t group, unsigned count, unsigned byte_count,
                          curing_buffers **out)
{
    curing_buffers *buffers = calloc(1, sizeof(*buffers));
    if (!buffers)
        return -ENOMEM;
    buffers->ring_bytes = count * sizeof(struct io_uring_buf);
    buffers->memory_bytes = (size_t)count * byte_count;
    buffers->count = count;
    buffers->byte_count = byte_count;
    buffers->group = group;
    const int protection = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
    buffers->ring = mmap(NULL, buffers->ring_bytes, protection, kind, -1, 0);
    buffers->memory = mmap(NULL, buffers->memory_bytes, protection, kind | MAP_NORESERVE, -1, 0);
    int result = -ENOMEM;
    if (buffers->ring != MAP_FAILED && (void *)buffers->memory != MAP_FAILED) {
        struct io_uring_buf_reg registration = {
            .ring_addr = (uintptr_t)buffers->ring, .ring_entries = count, .bgid = group};
        result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    }
    if (result < 0) {
        if (buffers->ring != MAP_FAILED)
            munmap(buffers->ring, buffers->ring_bytes);
        if ((void *)buffers->memory != MAP_FAILED)
            munmap(buffers->memory, buffers->memory_bytes);
        free(buffers);
        return result;
    }
    io_uring_buf_ring_init(buffers->ring);
    for (unsigned buffer = 0; buffer < count; buffer++)
        curing_buffers_give(buffers, (uint16_t)buffer);
    curing_buffers_publish(buffers);
    *out = buffers;
    return 0;
}

void curing_buffers_destroy(curing *ring, curing_buffers *buffers)
{
    (void)io_uring_unregister_buf_ring(&ring->ring, buffers->group);
    munmap(buffers->ring, buffers->ring_bytes);
    munmap(buffers->memory, buffers->memory_bytes);
    free(buffers);
}

void *curing_buffers_at(curing_buffers *buffers, uint16_t buffer)
{
    return buffers->memory + (size_t)buffer * buffers->byte_count;
}

void curing_buffers_give(curing_buffers *buffers, uint16_t buffer)
{
    io_uring_buf_ring_add(buffers->ring, curing_buffers_at(buffers, buffer), buffers->byte_count,
                          buffer, (int)buffers->count - 1, (int)buffers->pending++);
}

void curing_buffers_publish(curing_buffers *buffers)
{
    if (buffers->pending == 0)
        return;
    io_uring_buf_ring_advance(buffers->ring, (int)buffers->pending);
    buffers->pending = 0;
}

int curing_datagram_parse(void *buffer, int32_t result, const void *header,
                          curing_datagram *out)
{
    struct msghdr *armed = (struct msghdr *)header;
    struct io_uring_recvmsg_out *parts = io_uring_recvmsg_validate(buffer, result, armed);
    if (!parts)
        return -EINVAL;
    out->name = io_uring_recvmsg_name(parts);
    out->name_length = parts->namelen;
    out->control = (unsigned char *)out->name + armed->msg_namelen;
    out->control_length = parts->controllen;
    out->payload = io_uring_recvmsg_payload(parts, armed);
    out->payload_length = io_uring_recvmsg_payload_length(parts, result, armed);
    out->truncated = parts->flags & MSG_TRUNC;
    return 0;
}


int curing_nop(curing *ring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_recvmsg_multishot(curing *ring, unsigned file, uint16_t group, void *header,
                             uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_recvmsg_multishot(sqe, (int)file, header, MSG_TRUNC);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = group;
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_sendmsg(curing *ring, unsigned file, const void *header, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_sendmsg(sqe, (int)file, header, MSG_DONTWAIT);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_cancel(curing *ring, uint64_t target, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_alarm(curing *ring, uint64_t at_ns, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    ring->alarm = (struct __kernel_timespec){
        .tv_sec = (int64_t)(at_ns / 1000000000), .tv_nsec = (int64_t)(at_ns % 1000000000)};
    io_uring_prep_timeout(sqe, &ring->alarm, 0, IORING_TIMEOUT_ABS);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_poll_multishot(curing *ring, int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_read(curing *ring, int fd, void *bytes, unsigned count, uint64_t offset,
                uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_read(sqe, fd, bytes, count, offset);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_write(curing *ring, int fd, const void *bytes, unsigned count, uint64_t offset,
                 uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_write(sqe, fd, bytes, count, offset);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_sync(curing *ring, int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_fsync(sqe, fd, 0);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_write_back(curing *ring, int fd, uint64_t offset, unsigned count, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    io_uring_prep_sync_file_range(sqe, fd, count, offset, SYNC_FILE_RANGE_WRITE);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}

int curing_openat2(curing *ring, int directory, const char *path, uint64_t flags, uint64_t mode,
                   uint64_t resolve, void *how_storage, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (!sqe)
        return -EBUSY;
    struct open_how *how = how_storage;
    *how = (struct open_how){.flags = flags, .mode = mode, .resolve = resolve};
    io_uring_prep_openat2(sqe, directory, path, how);
    io_uring_sqe_set_data64(sqe, user_data);
    return 0;
}
