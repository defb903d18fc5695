/* Run a command and write to REPORT what it cost, its children included:
 *
 *     measure REPORT SECONDS COMMAND [ARG...]     "WALL CPU RSS STATUS": seconds, seconds, KiB, exit status
 *                                                 (128 + signal; -1: ended as late)
 *
 * A program of its own, because the peak of memory counts from the fork on: the child of a big process starts
 * big. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;
static volatile sig_atomic_t late;

static void end_it(int signal_number)
{
    (void)signal_number;
    kill(child, late++ ? SIGKILL : SIGTERM);
    alarm(3);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 64;
    struct timespec start, end;
    struct rusage usage;
    int status = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    child = fork();
    if (child == 0) {
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    signal(SIGALRM, end_it);
    alarm((unsigned)atoi(argv[2]));
    while (wait4(child, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);

    FILE *report = fopen(argv[1], "w");
    if (report == NULL)
        return 1;
    double wall = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    int code = late ? -1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    fprintf(report, "%.6f %.6f %ld %d\n", wall,
            seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss, code);
    return fclose(report) == 0 ? 0 : 1;
}
