#define _GNU_SOURCE
#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int clinux_flags_link(void) { return O_PATH | O_NOFOLLOW | O_CLOEXEC; }

int clinux_link_target(int fd, char *out, unsigned count)
{
    ssize_t length = readlinkat(fd, "", out, count);
    if (length < 0)
        return -errno;
    return (unsigned)length < count ? (int)length : -ENAMETOOLONG;
}

int clinux_path_of(int fd, char *out, unsigned count)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, out, count);
    if (length < 0)
        return -errno;
    return (unsigned)length < count ? (int)length : -ENAMETOOLONG;
}

static int fold(int letter) { return letter >= 'A' && letter <= 'Z' ? letter | 0x20 : letter; }

static bool is_same_folded(const char *one, const char *other)
{
    while (*one && fold((unsigned char)*one) == fold((unsigned char)*other)) {
        one++;
        other++;
    }
    return !*one && !*other;
}

int clinux_find_folded(int directory, const char *name, char *out, unsigned count)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *list = fdopendir(fd);
    if (!list) {
        close(fd);
        return -errno;
    }
    int found = -ENOENT;
    for (struct dirent *entry; (entry = readdir(list));) {
        if (!is_same_folded(entry->d_name, name) || strlen(entry->d_name) >= count)
            continue;
        if (found >= 0 && strcmp(entry->d_name, out) >= 0)
            continue;
        strcpy(out, entry->d_name);
        found = (int)strlen(out);
    }
    closedir(list);
    return found;
}
