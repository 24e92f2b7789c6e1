/* Preloaded into a server: every word to the disk takes so many milliseconds as the file named by SLOW_DISK says.
   No file, no delay. Nothing else is changed. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(void) {
    const char *path = getenv("SLOW_DISK");
    char text[16] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    long millis = read(file, text, sizeof text - 1) > 0 ? atol(text) : 0;
    close(file);
    struct timespec time = {millis / 1000, millis % 1000 * 1000000};
    if (millis > 0) nanosleep(&time, NULL);
}

int fdatasync(int fd) {
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    wait_for_disk();
    return (int)syscall(SYS_fsync, fd);
}
