#include "gate.h"

#include <pthread.h>
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool shut, waits;

void gate_pass(void)
{
    pthread_mutex_lock(&lock);
    while (shut) {
        waits = true;
        pthread_cond_broadcast(&moved);
        pthread_cond_wait(&moved, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void gate_shut(void)
{
    pthread_mutex_lock(&lock);
    shut = true;
    waits = false;
    pthread_mutex_unlock(&lock);
}

void gate_wait(void)
{
    pthread_mutex_lock(&lock);
    while (!waits)
        pthread_cond_wait(&moved, &lock);
    pthread_mutex_unlock(&lock);
}

void gate_open(void)
{
    pthread_mutex_lock(&lock);
    shut = false;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}
