/* Stands between a process and its C library and makes the disk fail or lie, as the file named by FULMAR_DISK_FAULTS
 * says. Its text is one word: `fail-sync N` (the N-th call from now that has to reach the disk, and every one after it,
 * fails with EIO), `fail-write N` (the same for writes) or `lie` (such calls say yes and do nothing). No file, or an
 * empty one: the disk is as it is. O_DSYNC is taken from every open and paid back by fdatasync after each write, since
 * otherwise the kernel would be honest behind our back. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 65536

enum mode { HONEST, FAIL_SYNC, FAIL_WRITE, LIE };

static atomic_char durable[DESCRIPTORS];
static atomic_char written[DESCRIPTORS];
static atomic_int current_mode;
static atomic_long calls_left;
static atomic_long seen_version = -1;

/* The kernel is asked directly, so that nothing here calls itself. */
static void look(void) {
  static const char *path;
  if (path == NULL) path = getenv("FULMAR_DISK_FAULTS");
  if (path == NULL) return;
  struct stat facts;
  if (stat(path, &facts) != 0) {
    current_mode = HONEST;
    seen_version = -1;
    return;
  }
  long version = facts.st_mtim.tv_sec * 1000000000L + facts.st_mtim.tv_nsec;
  if (atomic_exchange(&seen_version, version) == version) return;
  char text[64] = {0}, word[32] = {0};
  long number = 1;
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return;
  ssize_t got = syscall(SYS_read, file, text, sizeof text - 1);
  syscall(SYS_close, file);
  if (got <= 0 || sscanf(text, "%31s %ld", word, &number) < 1) word[0] = 0;
  calls_left = number;
  current_mode = !strcmp(word, "fail-sync")    ? FAIL_SYNC
                 : !strcmp(word, "fail-write") ? FAIL_WRITE
                 : !strcmp(word, "lie")        ? LIE
                                               : HONEST;
}

static int in_range(int file) { return file >= 0 && file < DESCRIPTORS; }

/* Node closes by a system call of its own, so that a number may meanwhile be that of a socket: the kernel knows. */
static int is_marked(const atomic_char *marks, int file) {
  struct stat facts;
  return in_range(file) && marks[file] && fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
}

static int sync_with(int file, long call) {
  look();
  if (current_mode == LIE) return 0;
  if (current_mode == FAIL_SYNC && atomic_fetch_sub(&calls_left, 1) <= 1) {
    errno = EIO;
    return -1;
  }
  return syscall(call, file);
}

int fsync(int file) { return sync_with(file, SYS_fsync); }
int fdatasync(int file) { return sync_with(file, SYS_fdatasync); }

static int refuses_write(int file) {
  if (!is_marked(written, file)) return 0;
  look();
  if (current_mode == FAIL_WRITE && atomic_fetch_sub(&calls_left, 1) <= 1) {
    errno = EIO;
    return 1;
  }
  return 0;
}

static ssize_t paid(int file, ssize_t count) {
  if (count > 0 && is_marked(durable, file) && sync_with(file, SYS_fdatasync) != 0) return -1;
  return count;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  return refuses_write(file) ? -1 : paid(file, syscall(SYS_pwrite64, file, bytes, count, at));
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
  return refuses_write(file) ? -1 : paid(file, syscall(SYS_pwritev, file, parts, count, at, 0));
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) { return pwritev64(file, parts, count, at); }
ssize_t write(int file, const void *bytes, size_t count) {
  return refuses_write(file) ? -1 : paid(file, syscall(SYS_write, file, bytes, count));
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  return refuses_write(file) ? -1 : paid(file, syscall(SYS_writev, file, parts, count));
}

static int opened(int directory, const char *path, int flags, mode_t mode) {
  int wants_durable = (flags & O_DSYNC) == O_DSYNC;
  int file = syscall(SYS_openat, directory, path, flags & ~(O_SYNC | O_DSYNC), mode);
  if (in_range(file)) {
    durable[file] = wants_durable;
    written[file] = (flags & O_ACCMODE) != O_RDONLY;
  }
  return file;
}

#define MODE_OF(flags)                          \
  mode_t mode = 0;                              \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {      \
    va_list rest;                               \
    va_start(rest, flags);                      \
    mode = va_arg(rest, unsigned);              \
    va_end(rest);                               \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(directory, path, flags, mode);
}
