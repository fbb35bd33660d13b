// The part of liburing this package uses, with liburing itself kept out of sight.
//
// This header must not include <liburing.h> or <linux/io_uring.h>: a Swift file that sees two
// definitions of `struct io_uring_sqe` (this module's, and swift-system's) does not compile.
#ifndef CURING_H
#define CURING_H

#include <stdbool.h>
#include <stdint.h>


typedef struct curing curing;
typedef struct curing_buffers curing_buffers;


typedef struct {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
} curing_completion;

enum {
    CURING_BUFFER = 1 << 0, // IORING_CQE_F_BUFFER: the buffer ID is in flags >> 16
    CURING_MORE = 1 << 1,   // IORING_CQE_F_MORE: a multishot request is still armed
};

// Where the parts of one received datagram lie in its buffer.
typedef struct {
    const void *name;
    const void *control;
    const void *payload;
    uint32_t name_length;
    uint32_t control_length;
    uint32_t payload_length;
    bool truncated;
} curing_datagram;

// What a ring is for. The kernel refuses everything else (-EACCES), whatever gets hold of it.
enum {
    CURING_NETWORK = 1 << 0, // datagrams, alarms, wakeups
    CURING_FILES = 1 << 1,   // opening, reading, writing, syncing; wakeups
};

// Each returns 0 or a count, or a negated errno. `uses` 0: everything.
int curing_create(unsigned entries, unsigned completions, unsigned uses, curing **out);
// Whether the kernel holds the ring to its uses; some kernels cannot.
bool curing_is_restricted(curing *ring);
void curing_destroy(curing *ring);

// One io_uring_enter: hands over what is queued, runs deferred work, and waits for `wait_count`
// completions until `timeout_ns` has passed (negative: no limit).
int curing_enter(curing *ring, unsigned wait_count, int64_t timeout_ns);
// SQEs queued and not yet taken by the kernel.
unsigned curing_queued(curing *ring);
unsigned curing_drain(curing *ring, curing_completion *out, unsigned count);
// Whether the kernel holds completions that did not fit the CQ.
bool curing_overflowed(curing *ring);

// Ends every request and waits until the kernel holds none.
void curing_cancel_all(curing *ring);

int curing_register_files(curing *ring, unsigned count);
int curing_update_file(curing *ring, unsigned index, int fd);

// A ring of provided buffers. `prefix` bytes before each buffer stay unused by the kernel.
int curing_buffers_create(curing *ring, uint16_t group, unsigned count, unsigned byte_count,
                          curing_buffers **out);
void curing_buffers_destroy(curing *ring, curing_buffers *buffers);
void *curing_buffers_at(curing_buffers *buffers, uint16_t buffer);
void curing_buffers_give(curing_buffers *buffers, uint16_t buffer);
// Shows the kernel every buffer given back since the last call, in one store.
void curing_buffers_publish(curing_buffers *buffers);

// Takes a buffer that a multishot recvmsg filled apart. Returns 0 or -EINVAL.
int curing_datagram_parse(void *buffer, int32_t result, const void *header,
                          curing_datagram *out);

// Queue one SQE. -EBUSY when the submission queue is full: enter, then try again.
int curing_nop(curing *ring, uint64_t user_data);
int curing_recvmsg_multishot(curing *ring, unsigned file, uint16_t group, void *header,
                             uint64_t user_data);
// Completes inside the submit (MSG_DONTWAIT) and posts a completion only on error.
int curing_sendmsg(curing *ring, unsigned file, const void *header, uint64_t user_data);
// Ends the request with `target` as its user data, which then completes for the last time.
// Completes itself only where there is none such.
int curing_cancel(curing *ring, uint64_t target, uint64_t user_data);
// Completes at that time of CLOCK_MONOTONIC. One between two enters.
int curing_alarm(curing *ring, uint64_t at_ns, uint64_t user_data);
int curing_poll_multishot(curing *ring, int fd, uint64_t user_data);
int curing_read(curing *ring, int fd, void *bytes, unsigned count, uint64_t offset,
                uint64_t user_data);
int curing_write(curing *ring, int fd, const void *bytes, unsigned count, uint64_t offset,
                 uint64_t user_data);
// Brings what was written of a file, or the names of a folder, to the disk (fsync).
int curing_sync(curing *ring, int fd, uint64_t user_data);
// Begins to write a part of a file back, and does not wait for it (sync_file_range).
int curing_write_back(curing *ring, int fd, uint64_t offset, unsigned count, uint64_t user_data);
// `path` must stay until the completion. `resolve` takes RESOLVE_* of openat2.
int curing_openat2(curing *ring, int directory, const char *path, uint64_t flags,
                   uint64_t mode, uint64_t resolve, void *how_storage, uint64_t user_data);
// The bytes that `how_storage` needs.
enum { CURING_OPEN_HOW_BYTES = 24 };

#endif
