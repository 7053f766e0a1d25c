/* What the C client writes and reads. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void create_get_exists(void) {
    struct client *c = connect_client("", NULL);
    struct Stat stat, made;
    char path[64], data[16];
    int length = sizeof data;
    EXPECT("create2", ZOK, zoo_create2(c->zh, "/a", "one", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path, &made));
    EXPECT_TEXT("path", "/a", path);
    EXPECT("get", ZOK, zoo_get(c->zh, "/a", 0, data, &length, &stat));
    EXPECT("length", 3, length);
    EXPECT("data", 0, memcmp(data, "one", 3));
    EXPECT("czxid of create", stat.czxid, made.czxid);
    EXPECT("length of create", 3, made.dataLength);
    EXPECT("czxid above 0", 1, stat.czxid > 0);
    EXPECT("mzxid", stat.czxid, stat.mzxid);
    EXPECT("owner", 0, stat.ephemeralOwner);
    EXPECT("no node", ZNONODE, zoo_exists(c->zh, "/none", 0, NULL));
    EXPECT("exists", ZOK, zoo_exists(c->zh, "/a", 0, &stat));
}

static void create_refusals(void) {
    struct client *c = connect_client("", NULL);
    EXPECT("create", ZOK, make(c, "/r", "", ZOO_PERSISTENT));
    EXPECT("again", ZNODEEXISTS, make(c, "/r", "", ZOO_PERSISTENT));
    EXPECT("no parent", ZNONODE, make(c, "/r/x/y", "", ZOO_PERSISTENT));
    EXPECT("ephemeral", ZOK, make(c, "/r/e", "", ZOO_EPHEMERAL));
    EXPECT("below it", ZNOCHILDRENFOREPHEMERALS, make(c, "/r/e/x", "", ZOO_PERSISTENT));
    struct ACL_vector none = {0, NULL};
    EXPECT("no ACL", ZINVALIDACL, zoo_create(c->zh, "/r/acl", "", 0, &none, ZOO_PERSISTENT, NULL, 0));
}

static void sequences(void) {
    struct client *c = connect_client("", NULL);
    char path[64];
    EXPECT("create", ZOK, make(c, "/s", "", ZOO_PERSISTENT));
    EXPECT("first", ZOK, zoo_create(c->zh, "/s/n-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path));
    EXPECT_TEXT("path", "/s/n-0000000000", path);
    EXPECT("delete", ZOK, zoo_delete(c->zh, path, -1));
    EXPECT("second", ZOK, zoo_create(c->zh, "/s/n-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path, sizeof path));
    EXPECT_TEXT("path", "/s/n-0000000001", path);
    EXPECT("TTL", ZOK, zoo_create_ttl(c->zh, "/s/", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 60000, path, sizeof path));
    EXPECT_TEXT("path", "/s/0000000002", path);
}

static void containers_and_ttl(void) {
    struct client *c = connect_client("", NULL);
    struct Stat stat;
    EXPECT("container", ZOK, make(c, "/c", "", ZOO_CONTAINER));
    EXPECT("child", ZOK, make(c, "/c/x", "", ZOO_PERSISTENT));
    EXPECT("exists", ZOK, zoo_exists(c->zh, "/c", 0, &stat));
    EXPECT("owner", 0, stat.ephemeralOwner);
    EXPECT("delete", ZOK, zoo_delete(c->zh, "/c/x", -1));
    EXPECT("TTL", ZOK, zoo_create2_ttl(c->zh, "/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 300, NULL, 0, &stat));
    EVENTUALLY("the container goes", zoo_exists(c->zh, "/c", 0, NULL) == ZNONODE);
    EVENTUALLY("the TTL node goes", zoo_exists(c->zh, "/t", 0, NULL) == ZNONODE);
}

static void set_and_delete(void) {
    struct client *c = connect_client("", NULL);
    struct Stat stat;
    char text[16];
    EXPECT("create", ZOK, make(c, "/d", "", ZOO_PERSISTENT));
    EXPECT("set", ZOK, zoo_set2(c->zh, "/d", "12", 2, 0, &stat));
    EXPECT("version", 1, stat.version);
    EXPECT("length", 2, stat.dataLength);
    EXPECT("old version", ZBADVERSION, zoo_set(c->zh, "/d", "", 0, 0));
    EXPECT("get", ZOK, read_text(c, "/d", text, sizeof text));
    EXPECT_TEXT("data", "12", text);
    EXPECT("child", ZOK, make(c, "/d/x", "", ZOO_PERSISTENT));
    EXPECT("not empty", ZNOTEMPTY, zoo_delete(c->zh, "/d", -1));
    EXPECT("bad version", ZBADVERSION, zoo_delete(c->zh, "/d/x", 4));
    EXPECT("delete", ZOK, zoo_delete(c->zh, "/d/x", 0));
    EXPECT("delete", ZOK, zoo_delete(c->zh, "/d", 1));
    EXPECT("no node", ZNONODE, zoo_delete(c->zh, "/d", -1));
}

static void null_is_not_empty(void) {
    struct client *c = connect_client("", NULL);
    char data[16];
    int length = sizeof data;
    EXPECT("null", ZOK, make(c, "/null", NULL, ZOO_PERSISTENT));
    EXPECT("get", ZOK, zoo_get(c->zh, "/null", 0, data, &length, NULL));
    EXPECT("length of null", -1, length);
    length = sizeof data;
    EXPECT("empty", ZOK, make(c, "/empty", "", ZOO_PERSISTENT));
    EXPECT("get", ZOK, zoo_get(c->zh, "/empty", 0, data, &length, NULL));
    EXPECT("length of empty", 0, length);
}

static void children(void) {
    struct client *c = connect_client("", NULL);
    struct String_vector names;
    struct Stat stat;
    EXPECT("create", ZOK, make(c, "/ch", "", ZOO_PERSISTENT));
    EXPECT("children", ZOK, zoo_get_children(c->zh, "/ch", 0, &names));
    EXPECT("none", 0, names.count);
    deallocate_String_vector(&names);
    EXPECT("create", ZOK, make(c, "/ch/a", "", ZOO_PERSISTENT));
    EXPECT("create", ZOK, make(c, "/ch/日本語", "", ZOO_PERSISTENT));
    EXPECT("children", ZOK, zoo_get_children2(c->zh, "/ch", 0, &names, &stat));
    EXPECT("both", 1, names.count == 2 && has_child(&names, "a") && has_child(&names, "日本語"));
    EXPECT("numChildren", 2, stat.numChildren);
    EXPECT("cversion", 2, stat.cversion);
    deallocate_String_vector(&names);
}

static void authenticated(int rc, const void *done) { *(volatile int *)done = rc == ZOK ? 1 : -1; }

static int add_auth(struct client *c, const char *scheme, const char *cert) {
    volatile int *done = calloc(1, sizeof *done);
    if (zoo_add_auth(c->zh, scheme, cert, strlen(cert), authenticated, (const void *)done) != ZOK) return -1;
    for (int64_t end = now_ms() + WITHIN_MS; !*done && now_ms() < end;) pause_ms(1);
    return *done;
}

static void acls(void) {
    struct client *c = connect_client("", NULL), *stranger = connect_client("", NULL);
    char text[16];
    struct ACL_vector acl;
    struct Stat stat;
    EXPECT("no identity", ZINVALIDACL, zoo_create(c->zh, "/mine", "x", 1, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
    EXPECT("auth", 1, add_auth(c, "digest", "me:secret"));
    EXPECT("create", ZOK, zoo_create(c->zh, "/mine", "x", 1, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
    EXPECT("sync", 1, sync_client(stranger));
    EXPECT("get", ZNOAUTH, read_text(stranger, "/mine", text, sizeof text));
    EXPECT("set", ZNOAUTH, put(stranger, "/mine", ""));
    EXPECT("create below", ZNOAUTH, make(stranger, "/mine/x", "", ZOO_PERSISTENT));
    EXPECT("get ACL", ZOK, zoo_get_acl(c->zh, "/mine", &acl, &stat));
    EXPECT("entries", 1, acl.count);
    EXPECT_TEXT("scheme", "digest", acl.data[0].id.scheme);
    EXPECT("set ACL", ZOK, zoo_set_acl(c->zh, "/mine", 0, &ZOO_READ_ACL_UNSAFE));
    EXPECT("its version", ZNOAUTH, zoo_set_acl(c->zh, "/mine", 0, &ZOO_READ_ACL_UNSAFE));
    deallocate_ACL_vector(&acl);
    EXPECT("sync", 1, sync_client(stranger));
    EXPECT("get", ZOK, read_text(stranger, "/mine", text, sizeof text));
    EXPECT("super", 1, add_auth(stranger, "digest", "super:test"));
    EXPECT("set", ZOK, put(stranger, "/mine", "y"));
    EXPECT("unknown scheme", -1, add_auth(c, "nosuch", "x"));
    EVENTUALLY("it is told", c->auth_failed);
}

static void multi(void) {
    struct client *c = connect_client("", NULL);
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    char first[64], second[64];
    struct Stat stat;
    zoo_create_op_init(&ops[0], "/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, first, sizeof first);
    zoo_create_op_init(&ops[1], "/m/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, second, sizeof second);
    zoo_check_op_init(&ops[2], "/m", 0);
    zoo_set_op_init(&ops[3], "/m", "2", 1, 0, &stat);
    zoo_delete_op_init(&ops[4], "/m/s-0000000000", 0);
    EXPECT("multi", ZOK, zoo_multi(c->zh, 5, ops, results));
    EXPECT_TEXT("path", "/m/s-0000000000", second);
    EXPECT("version", 1, stat.version);
    zoo_create_op_init(&ops[0], "/m/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, first, sizeof first);
    zoo_check_op_init(&ops[1], "/m", 7);
    zoo_delete_op_init(&ops[2], "/m/x", -1);
    EXPECT("failed multi", ZBADVERSION, zoo_multi(c->zh, 3, ops, results));
    EXPECT("before", ZOK, results[0].err);
    EXPECT("culprit", ZBADVERSION, results[1].err);
    EXPECT("after", ZRUNTIMEINCONSISTENCY, results[2].err);
    EXPECT("nothing left", ZNONODE, zoo_exists(c->zh, "/m/x", 0, NULL));
}

enum { PIPELINED = 500 };
static volatile int in_order;

static void read_back(int rc, const char *value, int length, const struct Stat *stat, const void *want) {
    char text[16] = "";
    if (rc == ZOK && length > 0 && length < (int)sizeof text) memcpy(text, value, length);
    if (rc == ZOK && atoi(text) == (int)(intptr_t)want && in_order == (int)(intptr_t)want) in_order++;
}

static void written(int rc, const struct Stat *stat, const void *data) {}

static void pipelining(void) {
    struct client *c = connect_client("", NULL);
    EXPECT("create", ZOK, make(c, "/pipe", "-1", ZOO_PERSISTENT));
    in_order = 0;
    for (int i = 0; i < PIPELINED; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "%d", i);
        EXPECT("set", ZOK, zoo_aset(c->zh, "/pipe", text, length, i, written, NULL));
        EXPECT("get", ZOK, zoo_aget(c->zh, "/pipe", 0, read_back, (void *)(intptr_t)i));
    }
    EVENTUALLY("all are answered in order", in_order == PIPELINED);
}

static void large_data(void) {
    enum { LARGE = 1000000, TOO_LARGE = 1048600 };
    struct client *c = connect_client("", NULL);
    char *blob = malloc(TOO_LARGE), *got = malloc(TOO_LARGE);
    int length = TOO_LARGE;
    for (int i = 0; i < TOO_LARGE; i++) blob[i] = (char)(i * 31);
    EXPECT("create", ZOK, zoo_create(c->zh, "/large", blob, LARGE, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0));
    EXPECT("get", ZOK, zoo_get(c->zh, "/large", 0, got, &length, NULL));
    EXPECT("length", LARGE, length);
    EXPECT("data", 0, memcmp(blob, got, LARGE));
    EXPECT("too large", ZCONNECTIONLOSS, zoo_set(c->zh, "/large", blob, TOO_LARGE, -1));
    EVENTUALLY("connected again", zoo_delete(c->zh, "/large", -1) == ZOK);
    EXPECT("expired", 0, c->expired);
    free(blob);
    free(got);
}

static volatile int created;

static void made(int rc, const char *value, const void *data) {
    if (rc == ZOK) __sync_fetch_and_add(&created, 1);
}

static void many_children(void) {
    enum { MANY = 10000 };
    struct client *c = connect_client("", NULL);
    struct String_vector names;
    created = 0;
    EXPECT("create", ZOK, make(c, "/many", "", ZOO_PERSISTENT));
    for (int i = 0; i < MANY; i++)
        EXPECT("create", ZOK, zoo_acreate(c->zh, "/many/child-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, made, NULL));
    EVENTUALLY("all are made", created == MANY);
    EXPECT("children", ZOK, zoo_get_children(c->zh, "/many", 0, &names));
    EXPECT("count", MANY, names.count);
    deallocate_String_vector(&names);
    close_client(c);
    c = connect_client("", NULL);
    EXPECT("sync", 1, sync_client(c));
    EXPECT("children", ZOK, zoo_get_children(c->zh, "/many", 0, &names));
    EXPECT("after close", 0, names.count);
    deallocate_String_vector(&names);
}

static void sessions(void) {
    struct client *c = connect_client("", NULL);
    struct Stat stat;
    clientid_t id = *zoo_client_id(c->zh);
    EXPECT("ephemeral", ZOK, make(c, "/kept", "", ZOO_EPHEMERAL));
    break_connections();
    EVENTUALLY("connected again", zoo_exists(c->zh, "/kept", 0, &stat) == ZOK);
    EXPECT("owner", id.client_id, stat.ephemeralOwner);
    EXPECT("session", id.client_id, zoo_client_id(c->zh)->client_id);

    clientid_t wrong = id;
    wrong.passwd[2] ^= 1;
    struct client *thief = connect_unwaited(root, &wrong);
    EVENTUALLY("a wrong password is an expired session", thief->expired);
    EVENTUALLY("the owner keeps it", zoo_exists(c->zh, "/kept", 0, NULL) == ZOK);
    close_client(c);
    struct client *late = connect_unwaited(root, &id);
    EVENTUALLY("a closed session is expired", late->expired);
    struct client *other = connect_client("", NULL);
    EXPECT("sync", 1, sync_client(other));
    EXPECT("its ephemeral is gone", ZNONODE, zoo_exists(other->zh, "/kept", 0, NULL));
}

static void chroot_and_config(void) {
    struct client *c = connect_client("", NULL);
    char text[64];
    EXPECT("create", ZOK, make(c, "/chroot", "", ZOO_PERSISTENT));
    struct client *inner = connect_client("/chroot", NULL);
    EXPECT("create", ZOK, make(inner, "/x", "1", ZOO_PERSISTENT));
    EXPECT("sync", 1, sync_client(c));
    EXPECT("get", ZOK, read_text(c, "/chroot/x", text, sizeof text));
    struct client *outside = connect_unwaited("", NULL);
    EVENTUALLY("connected", outside->connected);
    char config[4096];
    int length = sizeof config;
    EXPECT("config", ZOK, zoo_getconfig(outside->zh, 0, config, &length, NULL));
    EXPECT("reserved", ZBADARGUMENTS, zoo_delete(outside->zh, "/zookeeper", -1));
}

const struct check operations[] = {
    {"create, get, exists", create_get_exists},
    {"create is refused", create_refusals},
    {"sequential names", sequences},
    {"containers and TTL nodes", containers_and_ttl},
    {"set and delete", set_and_delete},
    {"null is not empty", null_is_not_empty},
    {"children", children},
    {"ACLs and identities", acls},
    {"multi", multi},
    {"requests in flight are answered in order", pipelining},
    {"1,000,000 bytes", large_data},
    {"10,000 ephemeral children go with their session", many_children},
    {"sessions", sessions},
    {"chroot and config", chroot_and_config},
    {NULL, NULL},
};
