#define _GNU_SOURCE
#include "CWallProbe.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

bool cwallprobe_user(void) { return setuid(0) == 0 || getuid() == 0 || geteuid() == 0; }

bool cwallprobe_groups(void) { return getegid() == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0; }

bool cwallprobe_capability(void)
{
    // Needs CAP_SETPCAP, and CAP_SYS_NICE.
    return prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0 || setpriority(PRIO_PROCESS, 0, -10) == 0;
}

bool cwallprobe_core(void)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    return setrlimit(RLIMIT_CORE, &limit) == 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
}

bool cwallprobe_open(const char *path, bool writes)
{
    int fd = open(path, writes ? O_WRONLY | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool cwallprobe_remove(const char *path) { return unlink(path) == 0; }

bool cwallprobe_execute(void)
{
    pid_t child;
    char *words[] = {"/bin/true", NULL};
    return posix_spawn(&child, "/bin/true", NULL, NULL, words, NULL) == 0 || execv("/bin/true", words) == 0;
}

bool cwallprobe_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0;
}

bool cwallprobe_trace(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }

bool cwallprobe_mount(const char *path) { return mount("none", path, "tmpfs", 0, NULL) == 0; }

bool cwallprobe_raw_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0) >= 0; }

bool cwallprobe_namespace(void) { return unshare(CLONE_NEWUSER) == 0; }

bool cwallprobe_signal(void) { return kill(1, 0) == 0; }
