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

static DIR *open_list(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *list = fdopendir(fd);
    if (!list) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return list;
}

int clinux_find_folded(int directory, const char *name, char *out, unsigned count)
{
    DIR *list = open_list(directory);
    if (!list)
        return -errno;
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

char *clinux_names_in(int directory, unsigned *byte_count)
{
    const size_t limit = (size_t)64 << 20;
    DIR *list = open_list(directory);
    if (!list)
        return NULL;
    size_t used = 0, room = 4096;
    char *names = malloc(room);
    errno = 0;
    for (struct dirent *entry; names && (entry = readdir(list)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t count = strlen(entry->d_name) + 1;
        if (used + count > room) {
            room *= 2;
            char *larger = room <= limit ? realloc(names, room) : NULL;
            if (!larger)
                free(names);
            names = larger;
            if (!names)
                break;
        }
        memcpy(names + used, entry->d_name, count);
        used += count;
    }
    if (names && errno != 0) {
        free(names);
        names = NULL;
    }
    closedir(list);
    *byte_count = (unsigned)used;
    return names;
}

void clinux_names_free(char *names) { free(names); }
