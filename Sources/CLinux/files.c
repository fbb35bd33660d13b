#define _GNU_SOURCE
#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FOLDERS_DEEP_MAX = 64, GROUPS_MAX = 1024 };

int clinux_flags_write(void) { return O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; }

int clinux_flags_look(void) { return O_PATH | O_NOFOLLOW | O_CLOEXEC; }

int clinux_folder_at(const char *path, uint64_t *device, uint64_t *inode)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    *device = status.st_dev;
    *inode = status.st_ino;
    return 0;
}

static bool is_in_group(gid_t group)
{
    if (getegid() == group)
        return true;
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

bool clinux_acts_as_other_user(void)
{
    // It returns what it was before, and no user has the number -1.
    return (uid_t)setfsuid((uid_t)-1) != geteuid();
}

bool clinux_may_write(int fd, const clinux_status *status)
{
    if (clinux_acts_as_other_user() && !(status->mode & S_IWOTH))
        return false;
    // The kernel's own word, with access control lists and read-only file systems in it; from
    // Linux 5.8 on.
    bool is_known = true;
    if (faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) {
        is_known = errno != EINVAL && errno != ENOSYS;
        if (is_known)
            return false;
    }
    uid_t user = geteuid();
    if (user != 0 && is_known)
        return true;
    if (status->user == user)
        return status->mode & S_IWUSR;
    return status->mode & (is_in_group(status->group) ? S_IWGRP : S_IWOTH);
}

int clinux_set_owner(int fd, const clinux_status *like)
{
    struct stat now;
    if (fstat(fd, &now) < 0)
        return -errno;
    bool differs = now.st_uid != like->user || now.st_gid != like->group;
    if (differs && fchown(fd, like->user, like->group) < 0)
        return -errno;
    return clinux_set_mode(fd, like->mode);
}

int clinux_set_mode(int fd, unsigned mode) { return fchmod(fd, mode & 0777) < 0 ? -errno : 0; }

int clinux_truncate(int fd, uint64_t byte_count)
{
    return ftruncate(fd, (off_t)byte_count) < 0 ? -errno : 0;
}

uint64_t clinux_mount_of(int fd)
{
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 || !(status.stx_mask & STATX_MNT_ID))
        return 0;
    return status.stx_mnt_id;
}

int clinux_make_folder(int directory, const char *name, unsigned mode)
{
    return mkdirat(directory, name, mode) < 0 ? -errno : 0;
}

int clinux_link(int directory, const char *from, const char *to)
{
    return linkat(directory, from, directory, to, 0) < 0 ? -errno : 0;
}

int64_t clinux_wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool clinux_was_there(int64_t changed_ns, int64_t started_ns, int64_t now_ns)
{
    // A time that has not come yet is from before the clock was set back. A machine without a clock
    // that runs while it is off begins in the past at each start.
    return changed_ns < started_ns || changed_ns > now_ns;
}

// Whether it was one, and is gone.
static bool remove_leftover(int directory, const char *name, int64_t started_ns)
{
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    clinux_status status;
    bool removed = clinux_status_of(fd, &status) == 0 && status.is_regular &&
                   clinux_was_there(status.changed_ns, started_ns, clinux_wall_clock()) &&
                   flock(fd, LOCK_EX | LOCK_NB) == 0 &&
                   unlinkat(directory, name, 0) == 0;
    close(fd);
    return removed;
}

// Takes `directory` over.
static int remove_leftovers(int directory, dev_t device, const char *prefix, int64_t started_ns,
                            unsigned depth)
{
    DIR *list = fdopendir(directory);
    if (!list) {
        close(directory);
        return 0;
    }
    int count = 0;
    struct dirent *each;
    while ((each = readdir(list))) {
        if (strcmp(each->d_name, ".") == 0 || strcmp(each->d_name, "..") == 0)
            continue;
        if (strncmp(each->d_name, prefix, strlen(prefix)) == 0) {
            count += remove_leftover(directory, each->d_name, started_ns);
            continue;
        }
        if ((each->d_type != DT_DIR && each->d_type != DT_UNKNOWN) || depth == FOLDERS_DEEP_MAX)
            continue;
        int inner = openat(directory, each->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat status;
        if (inner < 0)
            continue;
        if (fstat(inner, &status) < 0 || status.st_dev != device)
            close(inner);
        else
            count += remove_leftovers(inner, device, prefix, started_ns, depth + 1);
    }
    closedir(list);
    return count;
}

int clinux_remove_leftovers(int root, const char *prefix, int64_t started_ns)
{
    int directory = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (directory < 0)
        return -errno;
    if (fstat(directory, &status) < 0) {
        close(directory);
        return -EIO;
    }
    return remove_leftovers(directory, status.st_dev, prefix, started_ns, 0);
}
