#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>

_Static_assert(CLINUX_RESOLVE_BENEATH == (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), "kernel's");
_Static_assert(CLINUX_RESOLVE_AT_ONCE == (RESOLVE_CACHED | RESOLVE_NO_XDEV), "kernel's");

int clinux_open_root(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_open_beneath(int directory, const char *path, int flags, int mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)flags, .mode = (uint64_t)mode, .resolve = resolve};
    long fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int clinux_flags_path(void) { return O_PATH | O_CLOEXEC; }

// Not blocking, should a FIFO take the place of the regular file that was looked at.
int clinux_flags_read(void) { return O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; }

int clinux_flags_unnamed(void) { return O_TMPFILE | O_RDWR | O_CLOEXEC; }

int clinux_flags_create(void) { return O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC; }

int clinux_flags_directory(void) { return O_PATH | O_DIRECTORY | O_CLOEXEC; }

int clinux_flags_list(void) { return O_RDONLY | O_DIRECTORY | O_CLOEXEC; }

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int clinux_status_of(int fd, clinux_status *out)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    *out = (clinux_status){
        .device = status.st_dev,
        .inode = status.st_ino,
        .byte_count = (uint64_t)status.st_size,
        .links = status.st_nlink,
        .modified_ns = nanoseconds(status.st_mtim),
        .changed_ns = nanoseconds(status.st_ctim),
        .mode = status.st_mode & 07777,
        .user = status.st_uid,
        .group = status.st_gid,
        .is_regular = S_ISREG(status.st_mode),
        .is_directory = S_ISDIR(status.st_mode),
        .is_public = status.st_mode & S_IROTH,
        .is_enterable = status.st_mode & S_IXOTH,
        .is_link = S_ISLNK(status.st_mode),
    };
    return 0;
}

bool clinux_is_local(int fd)
{
    static const uint32_t local[] = {
        0xEF53,     // ext2, ext3, ext4
        0x58465342, // xfs
        0x9123683E, // btrfs
        0x01021994, // tmpfs
        0xF2F52010, // f2fs
        0x794C7630, // overlay
        0x2FC12FC1, // zfs
        0x858458F6, // ramfs
        0x73717368, // squashfs
        0xE0F5E1E2, // erofs
        0x4D44,     // vfat
        0x9660,     // iso9660
    };
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return false;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if ((uint32_t)status.f_type == local[i])
            return true;
    return false;
}

int clinux_link_unnamed(int fd, int directory, const char *name)
{
    // Allowed for the opener of the file since Linux 6.10; before that it needs a privilege.
    if (linkat(fd, "", directory, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno == EEXIST)
        return -EEXIST;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int clinux_rename_new(int directory, const char *from, const char *to)
{
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
        return 0;
    // A file system that does not know the flag; the old name goes later.
    if (errno == EINVAL && linkat(directory, from, directory, to, 0) == 0)
        return 0;
    return -errno;
}

void clinux_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int clinux_rename(int directory, const char *from, const char *to)
{
    return renameat(directory, from, directory, to) < 0 ? -errno : 0;
}

int clinux_unlink(int directory, const char *name)
{
    return unlinkat(directory, name, 0) < 0 ? -errno : 0;
}

uint64_t clinux_free_bytes(int fd)
{
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return UINT64_MAX;
    return (uint64_t)status.f_bavail * (uint64_t)status.f_bsize;
}

int clinux_read_link(int directory, const char *name, char *out, unsigned count)
{
    ssize_t length = readlinkat(directory, name, out, count);
    return length < 0 ? -errno : (int)length;
}

int clinux_lock_shared(int fd) { return flock(fd, LOCK_SH | LOCK_NB) < 0 ? -errno : 0; }

int clinux_lock_alone(int fd, bool waits)
{
    int result;
    do
        result = flock(fd, waits ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

// For pairs of file systems that the kernel does not copy between by itself.
static int copy_by_hand(int from, int to)
{
    static const size_t room = 1 << 20;
    char *buffer = malloc(room);
    if (!buffer)
        return -ENOMEM;
    ssize_t count;
    while ((count = read(from, buffer, room)) > 0)
        for (ssize_t done = 0, written; done < count; done += written)
            if ((written = write(to, buffer + done, (size_t)(count - done))) < 0) {
                count = -1;
                break;
            }
    int result = count < 0 ? -errno : 0;
    free(buffer);
    return result;
}

int clinux_copy_content(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    ssize_t count, total = 0;
    while ((count = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
        total += count;
    if (count == 0 && total > 0)
        return 0;
    // What copy_file_range reports for pairs that it cannot copy; and of some files without a size,
    // such as in /proc, it copies nothing.
    bool is_unable = count == 0 || errno == EXDEV || errno == EINVAL || errno == ENOSYS
                     || errno == EOPNOTSUPP;
    return total == 0 && is_unable ? copy_by_hand(from, to) : -errno;
}

void *clinux_map(uint64_t byte_count, bool huge)
{
    const size_t alignment = 2 << 20;
    size_t room = byte_count + (huge ? alignment : 0);
    unsigned char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (!huge)
        return memory;
    // Huge pages want their own alignment; what is cut off at the ends is given back.
    size_t skip = (alignment - (uintptr_t)memory % alignment) % alignment;
    if (skip)
        munmap(memory, skip);
    if (alignment - skip)
        munmap(memory + skip + byte_count, alignment - skip);
    (void)madvise(memory + skip, byte_count, MADV_HUGEPAGE);
    return memory + skip;
}

void clinux_unmap(void *memory, uint64_t byte_count) { munmap(memory, byte_count); }

int clinux_eventfd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void clinux_eventfd_ring(int fd)
{
    // A full counter already rings.
    (void)!eventfd_write(fd, 1);
}

void clinux_eventfd_clear(int fd)
{
    eventfd_t value;
    (void)!eventfd_read(fd, &value);
}

int clinux_cpus(int *out, unsigned count)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return -errno;
    unsigned found = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < count; cpu++)
        if (CPU_ISSET(cpu, &set))
            out[found++] = cpu;
    return (int)found;
}

int clinux_pin_self(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

void clinux_name_self(const char *name) { (void)pthread_setname_np(pthread_self(), name); }

int clinux_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max > INT_MAX ? INT_MAX : (int)limit.rlim_max;
}

void clinux_raise_memory_lock_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

uint64_t clinux_limit_of(clinux_limit limit)
{
    static const int resources[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK};
    struct rlimit value;
    if (getrlimit(resources[limit], &value) < 0 || value.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return value.rlim_cur;
}

bool clinux_has_address_space(uint64_t byte_count)
{
    // Each thread's heap reserves 64 MiB: with a limit, threads share one.
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        mallopt(M_ARENA_MAX, 1);
    // Only what can be written counts as data.
    struct rlimit data;
    bool is_limited = getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY;
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const int access = is_limited ? PROT_READ | PROT_WRITE : PROT_NONE;
    void *memory = mmap(NULL, byte_count, access, kind, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    munmap(memory, byte_count);
    return true;
}

uint64_t clinux_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)nanoseconds(now);
}

uint64_t clinux_random(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
        value = clinux_now();
    return value;
}

void clinux_close(int fd) { close(fd); }

void clinux_wait(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    (void)poll(&poller, 1, -1);
}

bool clinux_begin_locking_memory(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    const uint32_t bit = 1u << CAP_IPC_LOCK;
    if (syscall(SYS_capget, &header, data) < 0 || !(data[0].permitted & bit) || data[0].effective & bit)
        return false;
    data[0].effective |= bit;
    return syscall(SYS_capset, &header, data) == 0;
}

void clinux_end_locking_memory(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    const uint32_t bit = 1u << CAP_IPC_LOCK;
    if (syscall(SYS_capget, &header, data) < 0)
        return;
    data[0].effective &= ~bit;
    data[0].permitted &= ~bit;
    (void)syscall(SYS_capset, &header, data);
}

int clinux_run_quietly(char *const *arguments)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return -error;
    pid_t child;
    error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn(&child, arguments[0], &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return -error;
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
