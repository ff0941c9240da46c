/* Preloaded into a daemon (tools/compare-daemons): how long the device has nothing to do between two
 * submissions. A submission is under way from vkQueueSubmit until somebody has waited for its fence.
 * A gap of a tenth of a second and more is a pause between requests and does not count.
 *
 * When the process ends, or gets SIGUSR1, one line goes to the file that FG_IDLE_REPORT names: busy
 * seconds, idle seconds, submissions; SIGUSR1 also begins anew. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vulkan/vulkan.h>

#define PAUSE_S 0.1

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned outstanding;
static double busy, idle, since; /* since: the last change of `outstanding` from or to 0 */
static unsigned long submissions;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(void)
{
    const char *path = getenv("FG_IDLE_REPORT");
    FILE *f;

    pthread_mutex_lock(&lock);
    f = path ? fopen(path, "a") : NULL;
    if (f) {
        fprintf(f, "%.6f %.6f %lu\n", busy, idle, submissions);
        fclose(f);
    }
    busy = idle = 0;
    submissions = 0;
    pthread_mutex_unlock(&lock);
}

static void *wait_for_signal(void *arg)
{
    sigset_t *set = arg;
    int number;

    while (sigwait(set, &number) == 0)
        report();
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    static sigset_t set;
    pthread_t thread;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* every later thread inherits it */
    pthread_create(&thread, NULL, wait_for_signal, &set);
}

__attribute__((destructor)) static void end(void)
{
    report();
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue queue, uint32_t n, const VkSubmitInfo *submits,
                                             VkFence fence)
{
    static PFN_vkQueueSubmit next;
    double t = now();

    if (!next)
        next = (PFN_vkQueueSubmit)dlsym(RTLD_NEXT, "vkQueueSubmit");
    if (fence) {
        pthread_mutex_lock(&lock);
        submissions++;
        if (outstanding++ == 0) {
            if (since > 0 && t - since < PAUSE_S)
                idle += t - since;
            since = t;
        }
        pthread_mutex_unlock(&lock);
    }
    return next(queue, n, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice device, uint32_t n, const VkFence *fences,
                                               VkBool32 all, uint64_t timeout)
{
    static PFN_vkWaitForFences next;
    VkResult r;

    if (!next)
        next = (PFN_vkWaitForFences)dlsym(RTLD_NEXT, "vkWaitForFences");
    r = next(device, n, fences, all, timeout);
    if (r == VK_SUCCESS) {
        double t = now();

        pthread_mutex_lock(&lock);
        if (outstanding > 0 && --outstanding == 0) {
            busy += t - since;
            since = t;
        }
        pthread_mutex_unlock(&lock);
    }
    return r;
}
