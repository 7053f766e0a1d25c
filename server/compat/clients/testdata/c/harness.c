#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *hosts;
char root[128];

static char reason[1024];
static pthread_mutex_t reason_mu = PTHREAD_MUTEX_INITIALIZER;

void fail(const char *file, int line, const char *format, ...) {
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&reason_mu);
    if (!reason[0])
        snprintf(reason, sizeof reason, "%s at %s:%d", text, strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
    pthread_mutex_unlock(&reason_mu);
}

int failed(void) {
    pthread_mutex_lock(&reason_mu);
    int yes = reason[0] != 0;
    pthread_mutex_unlock(&reason_mu);
    return yes;
}

int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void pause_ms(int ms) { usleep(ms * 1000); }

enum { MAX_CLIENTS = 32 };
static struct client *opened[MAX_CLIENTS];

static void session_watcher(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct client *c = context;
    if (type != ZOO_SESSION_EVENT) return;
    c->connected = state == ZOO_CONNECTED_STATE;
    if (state == ZOO_EXPIRED_SESSION_STATE) c->expired = 1;
    if (state == ZOO_AUTH_FAILED_STATE) c->auth_failed = 1;
}

struct client *connect_unwaited(const char *chroot, const clientid_t *id) {
    char connect[1024];
    struct client *c = calloc(1, sizeof *c);
    snprintf(connect, sizeof connect, "%s%s", hosts, chroot);
    c->zh = zookeeper_init(connect, session_watcher, TIMEOUT_MS, id, c, 0);
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (opened[i]) continue;
        opened[i] = c;
        return c;
    }
    abort();
}

struct client *connect_client(const char *chroot, const clientid_t *id) {
    char path[256];
    snprintf(path, sizeof path, "%s%s", root, chroot);
    struct client *c = connect_unwaited(path, id);
    for (int64_t end = now_ms() + WITHIN_MS; !c->connected && !c->expired && now_ms() < end;) pause_ms(2);
    if (!c->connected) fail(__FILE__, __LINE__, "not connected");
    return c;
}

void close_client(struct client *c) {
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (opened[i] == c) opened[i] = NULL;
    zookeeper_close(c->zh); /* c itself stays: late events may still name it */
}

void close_all(void) {
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (opened[i]) close_client(opened[i]);
}

void break_connections(void) {
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
            shutdown(fd, SHUT_RDWR);
    }
}

struct events *new_events(void) {
    struct events *e = calloc(1, sizeof *e);
    pthread_mutex_init(&e->mu, NULL);
    return e;
}

void watcher(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct events *e = context;
    if (type == ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&e->mu);
    size_t used = strlen(e->seen);
    snprintf(e->seen + used, sizeof e->seen - used, "%d %s;", type, path);
    pthread_mutex_unlock(&e->mu);
}

void await_events(struct events *e, const char *want) {
    for (int64_t end = now_ms() + WITHIN_MS; now_ms() < end; pause_ms(5)) {
        pthread_mutex_lock(&e->mu);
        int enough = strlen(e->seen) >= strlen(want);
        pthread_mutex_unlock(&e->mu);
        if (enough) return;
    }
}

int make(struct client *c, const char *path, const char *data, int mode) {
    return zoo_create(c->zh, path, data, data ? (int)strlen(data) : -1, &ZOO_OPEN_ACL_UNSAFE, mode, NULL, 0);
}

int put(struct client *c, const char *path, const char *data) {
    return zoo_set(c->zh, path, data, data ? (int)strlen(data) : -1, -1);
}

int read_text(struct client *c, const char *path, char *text, int size) {
    int length = size - 1;
    int rc = zoo_get(c->zh, path, 0, text, &length, NULL);
    text[rc == ZOK && length > 0 ? length : 0] = 0;
    return rc;
}

static void synced(int rc, const char *path, const void *done) { *(volatile int *)done = rc == ZOK ? 1 : -1; }

int sync_client(struct client *c) {
    volatile int *done = calloc(1, sizeof *done);
    if (zoo_async(c->zh, "/", synced, (const void *)done) != ZOK) return -1;
    for (int64_t end = now_ms() + WITHIN_MS; !*done && now_ms() < end;) pause_ms(1);
    return *done;
}

int has_child(const struct String_vector *names, const char *name) {
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->data[i], name) == 0) return 1;
    return 0;
}

static int run(const struct check *checks) {
    int bad = 0;
    for (; checks->name; checks++) {
        reason[0] = 0;
        checks->run();
        close_all();
        if (reason[0]) {
            bad++;
            printf("FAIL c %s: %s\n", checks->name, reason);
        } else {
            printf("ok c %s\n", checks->name);
        }
        fflush(stdout);
    }
    return bad;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    zoo_set_debug_level(0);
    hosts = argv[1];
    struct client *outside = connect_client("", NULL);
    snprintf(root, sizeof root, "/compat-c-%s-%d", argv[2], getpid());
    if (make(outside, root, "", ZOO_PERSISTENT) != ZOK) {
        printf("FAIL c set up\n");
        return 1;
    }
    close_all();
    if (strcmp(argv[2], "failover") == 0) return run(failover) ? 1 : 0;
    return run(operations) + run(watches) ? 1 : 0;
}
