/* What the checks of the C client share. */
#ifndef HARNESS_H
#define HARNESS_H

#include <pthread.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

enum { TIMEOUT_MS = 15000, WITHIN_MS = 20000 };

/* A client with the state of its session. */
struct client {
    zhandle_t *zh;
    volatile int connected, expired, auth_failed;
};

/* What a watcher was told: "TYPE PATH;" for each event, in order. */
struct events {
    pthread_mutex_t mu;
    char seen[1024];
};

struct check {
    const char *name;
    void (*run)(void);
};

extern const struct check operations[], watches[], failover[];

/* fail records why the running check has failed; the first reason counts. */
void fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
int failed(void);

#define EXPECT(what, want, got)                                                              \
    do {                                                                                     \
        long long want_ = (want), got_ = (got);                                              \
        if (want_ != got_) {                                                                 \
            fail(__FILE__, __LINE__, "%s is %lld, want %lld", what, got_, want_);            \
            return;                                                                          \
        }                                                                                    \
    } while (0)

#define EXPECT_TEXT(what, want, got)                                                         \
    do {                                                                                     \
        const char *want_ = (want), *got_ = (got);                                           \
        if (strcmp(want_, got_) != 0) {                                                      \
            fail(__FILE__, __LINE__, "%s is %.300s, want %.300s", what, got_, want_);        \
            return;                                                                          \
        }                                                                                    \
    } while (0)

#define EVENTUALLY(what, condition)                                                          \
    do {                                                                                     \
        int64_t end_ = now_ms() + WITHIN_MS;                                                 \
        while (!(condition)) {                                                               \
            if (now_ms() > end_) {                                                           \
                fail(__FILE__, __LINE__, "not in time: %s", what);                           \
                return;                                                                      \
            }                                                                                \
            pause_ms(10);                                                                    \
        }                                                                                    \
    } while (0)

#define EXPECT_EVENTS(want, events)                                                          \
    do {                                                                                     \
        await_events(events, want);                                                          \
        EXPECT_TEXT("events", want, (events)->seen);                                         \
    } while (0)

/* connect_client returns a client whose paths begin below the root of the suite; with an id it takes over that session. */
struct client *connect_client(const char *chroot, const clientid_t *id);
struct client *connect_unwaited(const char *chroot, const clientid_t *id);
void close_client(struct client *c);
void close_all(void);

/* break_connections cuts every TCP connection of this process. */
void break_connections(void);

struct events *new_events(void);
void watcher(zhandle_t *zh, int type, int state, const char *path, void *events);
void await_events(struct events *e, const char *want);

int make(struct client *c, const char *path, const char *data, int mode);
int put(struct client *c, const char *path, const char *data);
int read_text(struct client *c, const char *path, char *text, int size);
int sync_client(struct client *c);
int has_child(const struct String_vector *names, const char *name);

int64_t now_ms(void);
void pause_ms(int ms);
extern const char *hosts;
extern char root[128];

#endif
