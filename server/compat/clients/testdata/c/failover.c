/* Clients that live on while servers die. Prints `READY ADDRESS`, the server that it is on, and goes on until its input
 * ends; then nothing may have been lost. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AT_LEAST = 50, PACE_MS = 10, RETRY_MS = 60000 };

static volatile int over;
static struct client *keeper, *logger, *counter;
static int acknowledged, counted;

static int again(int rc) { return rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT; }

/* RETRY evaluates call until it is answered. */
#define RETRY(rc, call)                                                         \
    do {                                                                        \
        int64_t end_ = now_ms() + RETRY_MS;                                     \
        while (again((rc) = (call)) && now_ms() < end_) pause_ms(PACE_MS);      \
    } while (0)

static void create_nodes(void) {
    int64_t last = 0;
    while (!over || acknowledged < AT_LEAST) {
        char path[32], text[32];
        struct Stat stat;
        int rc, tries = 0;
        snprintf(path, sizeof path, "/log/n-%06d", acknowledged);
        do {
            if (tries++) pause_ms(PACE_MS);
            rc = zoo_create2(logger->zh, path, path, strlen(path), &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0, &stat);
        } while (again(rc));
        if (rc == ZNODEEXISTS && tries > 1) rc = zoo_exists(logger->zh, path, 0, &stat);
        if (again(rc)) continue;
        EXPECT("create", ZOK, rc);
        EXPECT("czxid rises", 1, stat.czxid > last);
        last = stat.czxid;
        acknowledged++;
        RETRY(rc, read_text(logger, path, text, sizeof text));
        EXPECT("read", ZOK, rc);
        EXPECT_TEXT("own write", path, text);
        pause_ms(PACE_MS);
    }
}

static void count_up(void) {
    int version = 0;
    while (!over) {
        char text[16];
        struct Stat stat;
        int length = snprintf(text, sizeof text, "%d", counted + 1);
        int rc = zoo_set2(counter->zh, "/cas", text, length, version, &stat);
        if (again(rc)) {
            RETRY(rc, sync_client(counter) == 1 ? ZOK : ZCONNECTIONLOSS);
            int size = sizeof text - 1;
            RETRY(rc, (size = sizeof text - 1, zoo_get(counter->zh, "/cas", 0, text, &size, &stat)));
            EXPECT("read", ZOK, rc);
            text[size] = 0;
            EXPECT("the count is as before or one more", 1, atoi(text) == counted || atoi(text) == counted + 1);
            counted = atoi(text);
        } else {
            EXPECT("set", ZOK, rc);
            counted++;
        }
        version = stat.version;
        pause_ms(PACE_MS);
    }
}

static void *in_thread(void *body) {
    ((void (*)(void))body)();
    return NULL;
}

static void nothing_is_lost(int64_t session) {
    struct Stat stat;
    char text[32], want[32];
    int rc;
    EXPECT("expired", 0, keeper->expired || logger->expired || counter->expired);
    RETRY(rc, zoo_exists(keeper->zh, "/ephemeral", 0, &stat));
    EXPECT("the ephemeral node", ZOK, rc);
    EXPECT("its owner", session, stat.ephemeralOwner);
    EXPECT("session", session, zoo_client_id(keeper->zh)->client_id);
    RETRY(rc, sync_client(keeper) == 1 ? ZOK : ZCONNECTIONLOSS);
    snprintf(want, sizeof want, "%d", counted);
    RETRY(rc, read_text(keeper, "/cas", text, sizeof text));
    EXPECT_TEXT("count", want, text);
    for (int i = 0; i < acknowledged; i++) {
        snprintf(want, sizeof want, "/log/n-%06d", i);
        RETRY(rc, read_text(keeper, want, text, sizeof text));
        EXPECT("an acknowledged node", ZOK, rc);
        EXPECT_TEXT("its data", want, text);
    }
    RETRY(rc, zoo_exists(keeper->zh, "/log", 0, &stat));
    EXPECT("nodes", acknowledged, stat.numChildren);
}

static void sessions_live(void) {
    keeper = connect_client("", NULL);
    logger = connect_client("", NULL);
    counter = connect_client("", NULL);
    struct events *data = new_events(), *absent = new_events(), *child = new_events();
    struct String_vector names;
    EXPECT("create", ZOK, make(keeper, "/log", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(keeper, "/cas", "0", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(keeper, "/watched", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(keeper, "/ephemeral", "", ZOO_EPHEMERAL));
    EXPECT("watch", ZOK, zoo_wexists(keeper->zh, "/watched", watcher, data, NULL));
    EXPECT("watch", ZNONODE, zoo_wexists(keeper->zh, "/absent", watcher, absent, NULL));
    EXPECT("watch", ZOK, zoo_wget_children(keeper->zh, "/watched", watcher, child, &names));
    EXPECT("sync", 1, sync_client(logger) == 1 && sync_client(counter) == 1);
    int64_t session = zoo_client_id(keeper->zh)->client_id;
    pthread_t logging, counting;
    pthread_create(&logging, NULL, in_thread, create_nodes);
    pthread_create(&counting, NULL, in_thread, count_up);

    printf("READY %s\n", zoo_get_current_server(keeper->zh));
    fflush(stdout);
    char ignored;
    while (read(0, &ignored, 1) > 0) {
    }
    over = 1;
    pthread_join(logging, NULL);
    pthread_join(counting, NULL);
    if (failed()) return;
    nothing_is_lost(session);
    if (failed()) return;

    struct client *other = connect_client("", NULL);
    int rc;
    RETRY(rc, put(other, "/watched", "1"));
    RETRY(rc, make(other, "/absent", "", ZOO_PERSISTENT));
    RETRY(rc, make(other, "/watched/x", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, rc);
    EXPECT_EVENTS("3 /watched;", data);
    EXPECT_EVENTS("1 /absent;", absent);
    EXPECT_EVENTS("4 /watched;", child);
}

const struct check failover[] = {
    {"sessions live and nothing is lost", sessions_live},
    {NULL, NULL},
};
