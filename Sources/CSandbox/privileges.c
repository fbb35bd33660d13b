#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

int csandbox_find_user(const char *name, csandbox_user *out)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    bool is_number = *name && !*end;
    if (strlen(name) >= sizeof(out->name) || (is_number && number >= UINT32_MAX))
        return -ENOENT;
    struct passwd *entry = is_number ? getpwuid((uid_t)number) : getpwnam(name);
    memset(out, 0, sizeof(*out));
    if (entry) {
        out->uid = entry->pw_uid;
        out->gid = entry->pw_gid;
        snprintf(out->name, sizeof(out->name), "%s", entry->pw_name);
        return 0;
    }
    if (!is_number)
        return -ENOENT;
    // A number without a name, as containers have.
    out->uid = out->gid = (uint32_t)number;
    snprintf(out->name, sizeof(out->name), "%s", name);
    return 0;
}

int csandbox_take_groups(const csandbox_user *user)
{
    gid_t only[1] = {user->gid};
    bool has_name = getpwnam(user->name) != NULL;
    if (has_name ? initgroups(user->name, user->gid) < 0 : setgroups(1, only) < 0)
        return -errno;
    return setresgid(user->gid, user->gid, user->gid) < 0 ? -errno : 0;
}

bool csandbox_may_use(const csandbox_user *user, int directory, bool writes)
{
    uid_t before = (uid_t)setfsuid(user->uid);
    int mode = X_OK | (writes ? W_OK : 0);
    long result =
        syscall(SYS_faccessat2, directory, "", mode, AT_EACCESS | AT_EMPTY_PATH);
    (void)setfsuid(before);
    return result == 0;
}

int csandbox_owner(int directory, uint32_t *uid, uint32_t *gid)
{
    struct stat status;
    if (fstat(directory, &status) < 0)
        return -errno;
    *uid = status.st_uid;
    *gid = status.st_gid;
    return 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)},
    };
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

// The one capability that stays permitted, though not effective: while a thread creates its ring it
// may make it effective, so that the ring does not count against the locked memory that all
// processes of the user share. It allows nothing else than to lock memory.
static uint64_t kept_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0)
        return 0;
    return data[0].permitted & 1ull << CAP_IPC_LOCK;
}

int csandbox_drop_capabilities(void)
{
    // Needs a privilege itself; without it there is nothing that could be got back, because of
    // no_new_privs.
    for (int capability = 0; capability < 64; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return set_capabilities(0, kept_capabilities());
}

int csandbox_become(const csandbox_user *user, uint32_t files_uid, uint32_t files_gid)
{
    for (int capability = 0; capability < 64; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    bool differs = files_uid != user->uid;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return -errno;
    if (setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    if (differs) {
        const uint64_t bits = 1ull << CAP_SETUID | 1ull << CAP_SETGID;
        int result = set_capabilities(bits, bits | kept_capabilities());
        if (result < 0)
            return result;
        // The group first: a user of files that is not root loses nothing by it.
        (void)setfsgid(files_gid);
        (void)setfsuid(files_uid);
        // It returns what it was before, so asking for nothing tells what it is.
        if ((uint32_t)setfsuid((uid_t)-1) != files_uid || (uint32_t)setfsgid((gid_t)-1) != files_gid)
            return -EPERM;
    }
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return csandbox_drop_capabilities();
}

int csandbox_no_new_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int csandbox_no_core(void)
{
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return -errno;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int csandbox_read_state(csandbox_state *out)
{
    FILE *file = fopen("/proc/thread-self/status", "re");
    if (!file)
        return -errno;
    memset(out, 0, sizeof(*out));
    char line[256];
    unsigned number;
    unsigned long long bits;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Uid: %*u %u", &number) == 1)
            out->uid = number;
        else if (sscanf(line, "CapEff: %llx", &bits) == 1)
            out->capabilities = bits;
        else if (sscanf(line, "NoNewPrivs: %u", &number) == 1)
            out->no_new_privileges = number != 0;
        else if (sscanf(line, "Seccomp: %u", &number) == 1)
            out->seccomp = (int)number;
    }
    fclose(file);
    out->may_dump_core = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    return 0;
}
