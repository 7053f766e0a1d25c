/* Watches of the C client. Event types: 1 created, 2 deleted, 3 changed, 4 children. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

static void once(void) {
    struct client *c = connect_client("", NULL), *other = connect_client("", NULL);
    struct events *data = new_events(), *absent = new_events(), *child = new_events(), *child2 = new_events();
    struct String_vector names;
    struct Stat stat;
    char text[16];
    int length = sizeof text;
    EXPECT("create", ZOK, make(c, "/w", "", ZOO_PERSISTENT));
    EXPECT("exists", ZNONODE, zoo_wexists(c->zh, "/w/new", watcher, absent, &stat));
    EXPECT("get", ZOK, zoo_wget(c->zh, "/w", watcher, data, text, &length, &stat));
    EXPECT("children", ZOK, zoo_wget_children(c->zh, "/w", watcher, child, &names));
    deallocate_String_vector(&names);
    EXPECT("children", ZOK, zoo_wget_children2(c->zh, "/w", watcher, child2, &names, &stat));
    deallocate_String_vector(&names);
    EXPECT("sync", 1, sync_client(other));
    EXPECT("set", ZOK, put(other, "/w", "1"));
    EXPECT("set", ZOK, put(other, "/w", "2"));
    EXPECT("create", ZOK, make(other, "/w/new", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(other, "/w/more", "", ZOO_PERSISTENT));
    EXPECT("sync", 1, sync_client(c));
    EXPECT_EVENTS("3 /w;", data);
    EXPECT_EVENTS("1 /w/new;", absent);
    EXPECT_EVENTS("4 /w;", child);
    EXPECT_EVENTS("4 /w;", child2);
}

static void on_delete(void) {
    struct client *c = connect_client("", NULL);
    struct events *data = new_events(), *child = new_events(), *parent = new_events();
    struct String_vector names;
    EXPECT("create", ZOK, make(c, "/wd", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(c, "/wd/c", "", ZOO_PERSISTENT));
    EXPECT("exists", ZOK, zoo_wexists(c->zh, "/wd/c", watcher, data, NULL));
    EXPECT("children", ZOK, zoo_wget_children(c->zh, "/wd/c", watcher, child, &names));
    deallocate_String_vector(&names);
    EXPECT("children", ZOK, zoo_wget_children(c->zh, "/wd", watcher, parent, &names));
    deallocate_String_vector(&names);
    EXPECT("delete", ZOK, zoo_delete(c->zh, "/wd/c", -1));
    EXPECT_EVENTS("2 /wd/c;", data);
    EXPECT_EVENTS("2 /wd/c;", child);
    EXPECT_EVENTS("4 /wd;", parent);
}

static void removed(void) {
    struct client *c = connect_client("", NULL);
    struct events *gone = new_events(), *stays = new_events();
    EXPECT("create", ZOK, make(c, "/rm", "", ZOO_PERSISTENT));
    EXPECT("exists", ZOK, zoo_wexists(c->zh, "/rm", watcher, gone, NULL));
    EXPECT("exists", ZNONODE, zoo_wexists(c->zh, "/rm/x", watcher, stays, NULL));
    EXPECT("remove", ZOK, zoo_remove_watches(c->zh, "/rm", ZWATCHTYPE_DATA, watcher, gone, 0));
    EXPECT("remove again", ZNOWATCHER, zoo_remove_watches(c->zh, "/rm", ZWATCHTYPE_DATA, watcher, gone, 0));
    EXPECT("remove none", ZNOWATCHER, zoo_remove_all_watches(c->zh, "/none", ZWATCHTYPE_ANY, 0));
    EXPECT("set", ZOK, put(c, "/rm", "1"));
    EXPECT("create", ZOK, make(c, "/rm/x", "", ZOO_PERSISTENT));
    EXPECT_EVENTS("1 /rm/x;", stays);
    EXPECT_TEXT("events of the removed watch", "", gone->seen);
}

static void over_a_lost_connection(void) {
    struct client *c = connect_client("", NULL);
    struct events *data = new_events(), *absent = new_events(), *child = new_events();
    struct String_vector names;
    EXPECT("create", ZOK, make(c, "/lost", "", ZOO_PERSISTENT));
    EXPECT("exists", ZOK, zoo_wexists(c->zh, "/lost", watcher, data, NULL));
    EXPECT("exists", ZNONODE, zoo_wexists(c->zh, "/lost/x", watcher, absent, NULL));
    EXPECT("children", ZOK, zoo_wget_children(c->zh, "/lost", watcher, child, &names));
    deallocate_String_vector(&names);
    break_connections();
    EVENTUALLY("connected again", zoo_exists(c->zh, "/lost", 0, NULL) == ZOK);
    struct client *other = connect_client("", NULL);
    EXPECT("sync", 1, sync_client(other));
    EXPECT("set", ZOK, put(other, "/lost", "1"));
    EXPECT("create", ZOK, make(other, "/lost/x", "", ZOO_PERSISTENT));
    EXPECT_EVENTS("3 /lost;", data);
    EXPECT_EVENTS("1 /lost/x;", absent);
    EXPECT_EVENTS("4 /lost;", child);
}

static void order(void) {
    struct client *c = connect_client("", NULL), *other = connect_client("", NULL);
    EXPECT("create", ZOK, make(c, "/order", "0", ZOO_PERSISTENT));
    EXPECT("sync", 1, sync_client(other));
    for (int i = 1; i < 50; i++) {
        struct events *seen = new_events();
        char want[16], text[16];
        snprintf(want, sizeof want, "%d", i);
        EXPECT("exists", ZOK, zoo_wexists(c->zh, "/order", watcher, seen, NULL));
        EXPECT("set", ZOK, put(other, "/order", want));
        EVENTUALLY("the new data", read_text(c, "/order", text, sizeof text) == ZOK && strcmp(text, want) == 0);
        EXPECT_EVENTS("3 /order;", seen);
    }
}

const struct check watches[] = {
    {"watches fire once", once},
    {"a delete fires data and child watches", on_delete},
    {"removed watches", removed},
    {"watches outlive a lost connection", over_a_lost_connection},
    {"each change is told", order},
    {NULL, NULL},
};
