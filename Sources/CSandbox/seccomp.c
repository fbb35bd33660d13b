#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

// By name, because a library of another age or another machine may not know some of them, and those
// are left out then.
static const char *const allowed[] = {
    // Memory
    "brk", "madvise", "mincore", "mlock", "mlock2", "mmap", "mmap2", "mprotect", "mremap", "msync",
    "munlock", "munmap", "memfd_create", "membarrier", "get_mempolicy",
    // Threads, time, signals
    "clock_getres", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
    "exit", "exit_group", "futex", "futex_time64", "futex_waitv", "futex_wait", "futex_wake",
    "get_robust_list", "getcpu", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
    "getrlimit", "getrusage", "getsid", "gettid", "gettimeofday", "nanosleep", "pause", "prlimit64", "restart_syscall",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_setaffinity", "sched_setscheduler", "sched_yield", "set_robust_list",
    "set_tid_address", "setitimer", "setpriority", "sigaltstack", "signalfd4", "sysinfo", "tgkill",
    "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
    "timerfd_create", "timerfd_gettime", "timerfd_settime", "times", "umask", "uname", "wait4", "waitid",
    "arch_prctl", "prctl", "capget", "capset", "geteuid", "getuid", "getegid", "getgid", "getgroups", "getresuid", "getresgid",
    "kill",
    // Files; Landlock says which
    "access", "chdir", "chmod", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat",
    "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fcntl",
    "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fsetxattr", "fstat", "fstat64", "fstatat64",
    "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64",
    "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "lgetxattr", "link", "linkat",
    "listxattr", "llistxattr", "lseek", "_llseek", "lstat", "lstat64", "mkdir", "mkdirat", "name_to_handle_at",
    "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
    "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir",
    "sendfile", "sendfile64", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync",
    "sync_file_range", "syncfs", "tee", "truncate", "truncate64", "unlink", "unlinkat", "utime", "utimensat", "utimes",
    "write", "writev", "fchown", "fchownat", "chown", "lchown",
    // Waiting
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2",
    "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select", "_newselect",
    // The network
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv", "recvfrom",
    "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    "socketpair",
    "io_uring_enter", "io_uring_register", "io_uring_setup",
    // Cancelling and limits
    "setrlimit", "ugetrlimit", "ioprio_get", "ioprio_set", "mseal", "map_shadow_stack", "riscv_hwprobe",
    "riscv_flush_icache", "cacheflush", "set_mempolicy_home_node",
};

static int allow_named(scmp_filter_ctx filter, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    // This machine has no such call.
    return result == -EDOM || result == -EINVAL ? 0 : result;
}

static int allow_some(scmp_filter_ctx filter)
{
    // Threads but no processes. clone3 hides its flags in memory: the C library falls back where it
    // does not exist.
    int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    // IP, names of this host, and what the kernel says of addresses and routes. No raw packets.
    static const int families[] = {1 /* AF_UNIX */, 2 /* AF_INET */, 10 /* AF_INET6 */, 16 /* AF_NETLINK */};
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
    return result;
}

static int allow_ioctls(scmp_filter_ctx filter)
{
    static const unsigned long requests[] = {
        FIONREAD, FIONBIO, FIOCLEX, TIOCGWINSZ, 0x5401 /* TCGETS */, 0x40049409 /* FICLONE */, 0x8921 /* SIOCGIFMTU */,
        0x8933 /* SIOCGIFINDEX */, 0x8910 /* SIOCGIFNAME */, 0x8913 /* SIOCGIFFLAGS */, 0x8915 /* SIOCGIFADDR */,
        0x8906 /* SIOCGSTAMP */,
    };
    int result = 0;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]) && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
    return result;
}

int csandbox_seccomp(void)
{
    // EINVAL: built without it. Of loading a filter the same would say that ours is wrong.
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
        return -EOPNOTSUPP;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return -ENOMEM;
    // The C library's own message for each call is not worth a crash: a call of another
    // architecture just fails.
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    // A tree of comparisons instead of a list: what a server calls often is found as fast as
    // anything else.
    if (result == 0)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && result == 0; i++)
        result = allow_named(filter, allowed[i]);
    if (result == 0)
        result = allow_some(filter);
    if (result == 0)
        result = allow_ioctls(filter);
    if (result == 0)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return result;
}
