/*
 * The C client (libzookeeper_mt): every operation it has, one-shot watches and their removal, a lock as its documentation
 * describes one, reconnects and the end of its session. The lines are those of checks.py.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper.h>
#include <zookeeper_version.h>

#define DEADLINE_S 30
#define TIMEOUT_MS 10000
#define PATHS 16

static zhandle_t *zk;
static const char *root;
static jmp_buf broken;
static char why[1024];

static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

/* Ends the running check. */
static void broke(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    longjmp(broken, 1);
}

#define HOLDS(condition) \
    do { \
        if (!(condition)) broke("line %d: not %s", __LINE__, #condition); \
    } while (0)
#define CODE(wanted, call) \
    do { \
        int code_ = (call); \
        if (code_ != (wanted)) broke("line %d: %s is %s, not %s", __LINE__, #call, zerror(code_), zerror(wanted)); \
    } while (0)

/* The full path of `name`; good until sixteen more have been asked for. */
static const char *at(const char *name) {
    static char paths[PATHS][512];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void please(const char *what) {
    char answer[512] = "";
    say("do %s", what);
    if (!fgets(answer, sizeof answer, stdin) || strcmp(answer, "done\n")) broke("the test could not %s: %s", what, answer);
}

/* What watchers have seen: types and paths of znode events, and the last state and number of changes of the session. */
struct events {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count, connects, losses, expired;
    int types[64];
    char paths[64][128];
};

#define NO_EVENTS {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void watch(zhandle_t *handle, int type, int state, const char *path, void *context) {
    struct events *events = context ? context : (struct events *)zoo_get_context(handle);
    pthread_mutex_lock(&events->lock);
    if (type == ZOO_SESSION_EVENT) {
        events->connects += state == ZOO_CONNECTED_STATE;
        events->losses += state == ZOO_CONNECTING_STATE || state == ZOO_NOTCONNECTED_STATE;
        events->expired += state == ZOO_EXPIRED_SESSION_STATE;
    } else if (events->count < 64) {
        events->types[events->count] = type;
        snprintf(events->paths[events->count], sizeof events->paths[0], "%s", path);
        events->count++;
    }
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
}

/* Until `*number` has reached `wanted`. */
static int reached(struct events *events, int *number, int wanted) {
    struct timespec deadline;
    int late = 0, enough;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&events->lock);
    while (*number < wanted && late == 0) late = pthread_cond_timedwait(&events->changed, &events->lock, &deadline);
    enough = *number >= wanted;
    pthread_mutex_unlock(&events->lock);
    return enough;
}

static int is_event(struct events *events, int number, int type, const char *name) {
    return reached(events, &events->count, number + 1) && events->types[number] == type &&
           strcmp(events->paths[number], at(name)) == 0;
}

static zhandle_t *join_at(const char *address, struct events *events, int timeout, const clientid_t *session) {
    zhandle_t *handle = zookeeper_init(getenv(address), watch, timeout, session, events, ZOO_NO_LOG_CLIENTENV);
    if (!handle || !reached(events, &events->connects, 1)) broke("no connection");
    return handle;
}

static zhandle_t *join_session(struct events *events, int timeout, const clientid_t *session) {
    return join_at("INTEROP_CONNECT", events, timeout, session);
}

static void expire(zhandle_t *handle) {
    const clientid_t *session = zoo_client_id(handle);
    char what[128];
    int length = snprintf(what, sizeof what, "expire %016" PRIx64 " ", (uint64_t)session->client_id);
    for (size_t i = 0; i < sizeof session->passwd; i++)
        length += snprintf(what + length, sizeof what - length, "%02x", (unsigned char)session->passwd[i]);
    please(what);
}

static int create(const char *name, const char *data, int mode) {
    return zoo_create(zk, at(name), data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, mode, NULL, 0);
}

static void create_get_set_delete(void) {
    char path[256], data[64];
    int length = sizeof data;
    struct Stat stat;
    CODE(ZOK, zoo_create(zk, at("node"), "one", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path));
    HOLDS(strcmp(path, at("node")) == 0);
    CODE(ZNODEEXISTS, create("node", "", ZOO_PERSISTENT));
    CODE(ZNONODE, create("no/parent", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_get(zk, at("node"), 0, data, &length, &stat));
    HOLDS(length == 3 && memcmp(data, "one", 3) == 0 && stat.version == 0 && stat.dataLength == 3);
    CODE(ZOK, zoo_set2(zk, at("node"), "two", 3, 0, &stat));
    HOLDS(stat.version == 1);
    CODE(ZBADVERSION, zoo_set(zk, at("node"), "x", 1, 0));
    CODE(ZOK, zoo_set(zk, at("node"), NULL, -1, 1));
    length = sizeof data;
    CODE(ZOK, zoo_get(zk, at("node"), 0, data, &length, &stat));
    HOLDS(length == -1 && stat.dataLength == 0);
    CODE(ZBADVERSION, zoo_delete(zk, at("node"), 7));
    CODE(ZOK, zoo_delete(zk, at("node"), 2));
    CODE(ZNONODE, zoo_exists(zk, at("node"), 0, NULL));
    CODE(ZNONODE, zoo_delete(zk, at("node"), -1));
}

static void every_mode_of_znode(void) {
    char path[256];
    struct Stat stat;
    const char *six = "123456";
    CODE(ZOK, create("modes", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_create2(zk, at("modes/p"), six, 6, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path, &stat));
    HOLDS(strcmp(path, at("modes/p")) == 0 && stat.dataLength == 6 && stat.czxid == stat.mzxid && stat.ephemeralOwner == 0);
    CODE(ZOK, zoo_create2(zk, at("modes/s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path, &stat));
    HOLDS(strcmp(path, at("modes/s-0000000001")) == 0);
    CODE(ZOK, zoo_create2(zk, at("modes/e"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0, &stat));
    HOLDS(stat.ephemeralOwner == zoo_client_id(zk)->client_id);
    CODE(ZNOCHILDRENFOREPHEMERALS, create("modes/e/child", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_create(zk, at("modes/es-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path, sizeof path));
    HOLDS(strcmp(path, at("modes/es-0000000003")) == 0);
    CODE(ZOK, create("modes/c", "", ZOO_CONTAINER));
    CODE(ZOK, create("modes/c/child", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_create_ttl(zk, at("modes/t"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 60000, NULL, 0));
    CODE(ZOK, zoo_create2_ttl(zk, at("modes/ts-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 60000, path,
                              sizeof path, &stat));
    HOLDS(strcmp(path, at("modes/ts-0000000006")) == 0);
}

static void children(void) {
    struct String_vector names;
    struct Stat stat;
    CODE(ZOK, create("parent", "", ZOO_PERSISTENT));
    CODE(ZOK, create("parent/a", "", ZOO_PERSISTENT));
    CODE(ZOK, create("parent/b", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_get_children(zk, at("parent"), 0, &names));
    HOLDS(names.count == 2 && strcmp(names.data[0], names.data[1]) != 0);
    deallocate_String_vector(&names);
    CODE(ZOK, zoo_get_children2(zk, at("parent"), 0, &names, &stat));
    HOLDS(names.count == 2 && stat.numChildren == 2 && stat.cversion == 2 && stat.pzxid > stat.czxid);
    deallocate_String_vector(&names);
    CODE(ZNOTEMPTY, zoo_delete(zk, at("parent"), -1));
    CODE(ZNONODE, zoo_get_children(zk, at("nobody"), 0, &names));
}

static void access_lists(void) {
    struct ACL_vector acl;
    struct Stat stat;
    CODE(ZOK, create("acl", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_get_acl(zk, at("acl"), &acl, &stat));
    HOLDS(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL && strcmp(acl.data[0].id.scheme, "world") == 0);
    HOLDS(stat.aversion == 0);
    deallocate_ACL_vector(&acl);
    CODE(ZBADVERSION, zoo_set_acl(zk, at("acl"), 9, &ZOO_READ_ACL_UNSAFE));
    CODE(ZOK, zoo_set_acl(zk, at("acl"), 0, &ZOO_READ_ACL_UNSAFE));
    CODE(ZNOAUTH, zoo_set(zk, at("acl"), "x", 1, -1));
    CODE(ZNOAUTH, zoo_set_acl(zk, at("acl"), -1, &ZOO_OPEN_ACL_UNSAFE));
    CODE(ZINVALIDACL, zoo_create(zk, at("bad"), "", 0, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
}

static void told(int code, const void *data) {
    watch(zk, ZOO_CREATED_EVENT, code, code == ZOK ? "ok" : "failed", (void *)(uintptr_t)data);
}

static void told_text(int code, const char *text, const void *data) {
    watch(zk, ZOO_CREATED_EVENT, code, code == ZOK ? text : "failed", (void *)(uintptr_t)data);
}

static void credentials(void) {
    static struct events events = NO_EVENTS, answers = NO_EVENTS;
    char data[64];
    int length = sizeof data;
    zhandle_t *owner = join_session(&events, TIMEOUT_MS, NULL);
    CODE(ZOK, zoo_add_auth(owner, "digest", "ann:secret", 10, told, &answers));
    HOLDS(reached(&answers, &answers.count, 1) && strcmp(answers.paths[0], "ok") == 0);
    CODE(ZOK, zoo_create(owner, at("private"), "mine", 4, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
    CODE(ZNOAUTH, zoo_get(zk, at("private"), 0, data, &length, NULL));
    length = sizeof data;
    CODE(ZOK, zoo_get(owner, at("private"), 0, data, &length, NULL));
    HOLDS(length == 4);
    CODE(ZOK, zookeeper_close(owner));
}

static void sync_answers(void) {
    static struct events answers = NO_EVENTS;
    CODE(ZOK, zoo_async(zk, at("parent"), told_text, &answers));
    HOLDS(is_event(&answers, 0, ZOO_CREATED_EVENT, "parent"));
}

static void transactions(void) {
    char path[256] = "";
    struct Stat stat;
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    CODE(ZOK, create("multi", "0", ZOO_PERSISTENT));
    CODE(ZOK, create("multi/old", "", ZOO_PERSISTENT));
    zoo_check_op_init(&ops[0], at("multi"), 0);
    zoo_create_op_init(&ops[1], at("multi/s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path);
    zoo_set_op_init(&ops[2], at("multi"), "1", 1, 0, &stat);
    zoo_delete_op_init(&ops[3], at("multi/old"), 0);
    CODE(ZOK, zoo_multi(zk, 4, ops, results));
    HOLDS(strcmp(path, at("multi/s-0000000001")) == 0 && stat.version == 1);
    HOLDS(results[0].err == ZOK && results[1].err == ZOK && results[2].err == ZOK && results[3].err == ZOK);
    zoo_create_op_init(&ops[0], at("multi/x"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0);
    zoo_check_op_init(&ops[1], at("multi"), 0);
    zoo_delete_op_init(&ops[2], at("multi"), -1);
    CODE(ZBADVERSION, zoo_multi(zk, 3, ops, results));
    HOLDS(results[0].err == ZOK && results[1].err == ZBADVERSION && results[2].err == ZRUNTIMEINCONSISTENCY);
    CODE(ZNONODE, zoo_exists(zk, at("multi/x"), 0, NULL));
}

static void configuration(void) {
    char data[4096];
    int length = sizeof data;
    struct Stat stat;
    CODE(ZOK, zoo_getconfig(zk, 0, data, &length, &stat));
    CODE(ZRECONFIGDISABLED, zoo_reconfig(zk, "server.9=127.0.0.1:9:9:participant;127.0.0.1:9", NULL, NULL, -1, data, &length, &stat));
}

static void many_requests_at_once(void) {
    static struct events answers = NO_EVENTS;
    CODE(ZOK, create("many", "", ZOO_PERSISTENT));
    for (int i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%02d", i);
        CODE(ZOK, zoo_acreate(zk, at(name), "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, told_text, &answers));
    }
    HOLDS(reached(&answers, &answers.count, 60));
    for (int i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%02d", i);
        HOLDS(is_event(&answers, i, ZOO_CREATED_EVENT, name));
    }
}

static void one_shot_watches(void) {
    static struct events events = NO_EVENTS;
    char data[64];
    int length = sizeof data;
    struct String_vector names;
    CODE(ZOK, create("watched", "", ZOO_PERSISTENT));
    CODE(ZNONODE, zoo_wexists(zk, at("later"), watch, &events, NULL));
    CODE(ZOK, zoo_wget(zk, at("watched"), watch, &events, data, &length, NULL));
    CODE(ZOK, zoo_wget_children(zk, at("watched"), watch, &events, &names));
    deallocate_String_vector(&names);
    CODE(ZOK, zoo_set(zk, at("watched"), "1", 1, -1));
    CODE(ZOK, zoo_set(zk, at("watched"), "2", 1, -1));
    CODE(ZOK, create("watched/child", "", ZOO_PERSISTENT));
    CODE(ZOK, create("watched/child2", "", ZOO_PERSISTENT));
    CODE(ZOK, create("later", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_wexists(zk, at("watched/child"), watch, &events, NULL));
    CODE(ZOK, zoo_delete(zk, at("watched/child"), -1));
    HOLDS(is_event(&events, 0, ZOO_CHANGED_EVENT, "watched") && is_event(&events, 1, ZOO_CHILD_EVENT, "watched"));
    HOLDS(is_event(&events, 2, ZOO_CREATED_EVENT, "later") && is_event(&events, 3, ZOO_DELETED_EVENT, "watched/child"));
    HOLDS(events.count == 4);
}

static void removed_watches(void) {
    static struct events events = NO_EVENTS;
    char data[64];
    int length = sizeof data;
    CODE(ZOK, create("unwatched", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_wget(zk, at("unwatched"), watch, &events, data, &length, NULL));
    CODE(ZNOWATCHER, zoo_remove_watches(zk, at("unwatched"), ZWATCHTYPE_CHILD, watch, &events, 0));
    CODE(ZOK, zoo_remove_watches(zk, at("unwatched"), ZWATCHTYPE_DATA, watch, &events, 0));
    CODE(ZOK, zoo_wget(zk, at("unwatched"), watch, &events, data, &length, NULL));
    CODE(ZOK, zoo_remove_all_watches(zk, at("unwatched"), ZWATCHTYPE_ANY, 0));
    CODE(ZOK, zoo_set(zk, at("unwatched"), "1", 1, -1));
    sync_answers();
    for (int i = 0; i < events.count; i++) HOLDS(events.types[i] == ZOO_NOTWATCHING_EVENT);
}

/* Sets the watches again: what changed meanwhile is told, what changes later is too. */
static void watches_outlive_a_connection(void) {
    static struct events session = NO_EVENTS, events = NO_EVENTS;
    char data[64];
    int length = sizeof data, code = ZCONNECTIONLOSS;
    zhandle_t *other = join_session(&session, TIMEOUT_MS, NULL);
    int64_t id = zoo_client_id(other)->client_id;
    CODE(ZOK, create("back", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_wget(other, at("back"), watch, &events, data, &length, NULL));
    CODE(ZNONODE, zoo_wexists(other, at("back-later"), watch, &events, NULL));
    please("drop");
    HOLDS(reached(&session, &session.losses, 1) && reached(&session, &session.connects, 2));
    HOLDS(zoo_client_id(other)->client_id == id);
    for (int tries = 0; tries < 300 && code != ZOK; tries++) {
        code = zoo_set(zk, at("back"), "1", 1, -1);
        if (code != ZOK) usleep(100000);
    }
    HOLDS(code == ZOK);
    HOLDS(reached(&events, &events.count, 1));
    CODE(ZOK, create("back-later", "", ZOO_PERSISTENT));
    HOLDS(is_event(&events, 0, ZOO_CHANGED_EVENT, "back") && is_event(&events, 1, ZOO_CREATED_EVENT, "back-later"));
    CODE(ZOK, zookeeper_close(other));
}

static int was_told(struct events *events, int type, const char *name) {
    for (int i = 0; i < events->count; i++)
        if (events->types[i] == type && strcmp(events->paths[i], at(name)) == 0) return 1;
    return 0;
}

static void what_changed_meanwhile_is_told(void) {
    static struct events session = NO_EVENTS, events = NO_EVENTS;
    char data[64];
    int length = sizeof data;
    struct String_vector names;
    zhandle_t *other = join_at("INTEROP_REMOTE", &session, TIMEOUT_MS, NULL);
    CODE(ZOK, create("away", "", ZOO_PERSISTENT));
    CODE(ZOK, create("away/gone", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_wget_children(other, at("away"), watch, &events, &names));
    deallocate_String_vector(&names);
    CODE(ZOK, zoo_wget(other, at("away"), watch, &events, data, &length, NULL));
    CODE(ZOK, zoo_wexists(other, at("away/gone"), watch, &events, NULL));
    CODE(ZNONODE, zoo_wexists(other, at("away/made"), watch, &events, NULL));
    please("away");
    HOLDS(reached(&session, &session.losses, 1));
    CODE(ZOK, zoo_set(zk, at("away"), "1", 1, -1));
    CODE(ZOK, zoo_delete(zk, at("away/gone"), -1));
    CODE(ZOK, create("away/made", "", ZOO_PERSISTENT));
    please("back");
    HOLDS(reached(&events, &events.count, 4) && events.count == 4);
    HOLDS(was_told(&events, ZOO_CHANGED_EVENT, "away") && was_told(&events, ZOO_CHILD_EVENT, "away"));
    HOLDS(was_told(&events, ZOO_DELETED_EVENT, "away/gone") && was_told(&events, ZOO_CREATED_EVENT, "away/made"));
    CODE(ZOK, zookeeper_close(other));
}

static void ephemerals_go_with_their_session(void) {
    static struct events session = NO_EVENTS, events = NO_EVENTS;
    zhandle_t *other = join_session(&session, TIMEOUT_MS, NULL);
    CODE(ZOK, zoo_create(other, at("brief"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    CODE(ZOK, zoo_wexists(zk, at("brief"), watch, &events, NULL));
    CODE(ZOK, zookeeper_close(other));
    HOLDS(is_event(&events, 0, ZOO_DELETED_EVENT, "brief"));
}

static void an_expired_session_is_told(void) {
    static struct events session = NO_EVENTS, events = NO_EVENTS;
    zhandle_t *other = join_session(&session, TIMEOUT_MS, NULL);
    CODE(ZOK, zoo_create(other, at("lapsed"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    CODE(ZOK, zoo_wexists(zk, at("lapsed"), watch, &events, NULL));
    expire(other);
    HOLDS(is_event(&events, 0, ZOO_DELETED_EVENT, "lapsed"));
    HOLDS(reached(&session, &session.expired, 1));
    HOLDS(is_unrecoverable(other) == ZINVALIDSTATE);
    zookeeper_close(other);
}

static void pings_keep_an_idle_session(void) {
    static struct events session = NO_EVENTS;
    zhandle_t *other = join_session(&session, 3000, NULL);
    HOLDS(zoo_recv_timeout(other) == 3000);
    CODE(ZOK, zoo_create(other, at("idle"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    usleep(3800000);
    HOLDS(session.losses == 0 && session.connects == 1);
    CODE(ZOK, zoo_exists(zk, at("idle"), 0, NULL));
    CODE(ZOK, zookeeper_close(other));
}

/* The lowest sequential child holds the lock; the next one watches it. */
static void a_lock(void) {
    static struct events session = NO_EVENTS, events = NO_EVENTS;
    char mine[256], theirs[256];
    zhandle_t *other = join_session(&session, TIMEOUT_MS, NULL);
    CODE(ZOK, create("lock", "", ZOO_PERSISTENT));
    CODE(ZOK, zoo_create(other, at("lock/n-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, theirs, sizeof theirs));
    CODE(ZOK, zoo_create(zk, at("lock/n-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, mine, sizeof mine));
    HOLDS(strcmp(theirs, mine) < 0);
    CODE(ZOK, zoo_wexists(zk, theirs, watch, &events, NULL));
    expire(other);
    HOLDS(reached(&events, &events.count, 1) && events.types[0] == ZOO_DELETED_EVENT);
    CODE(ZNONODE, zoo_exists(zk, theirs, 0, NULL));
    zookeeper_close(other);
}

static void a_restarted_server_keeps_data_and_sessions(void) {
    static struct events session = NO_EVENTS;
    struct Stat stat;
    zhandle_t *other = join_session(&session, TIMEOUT_MS, NULL);
    CODE(ZOK, zoo_create(other, at("durable"), "kept", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0));
    int64_t id = zoo_client_id(other)->client_id;
    please("restart");
    HOLDS(reached(&session, &session.losses, 1) && reached(&session, &session.connects, 2));
    CODE(ZOK, zoo_exists(other, at("durable"), 0, &stat));
    HOLDS(stat.ephemeralOwner == id && stat.dataLength == 4);
    CODE(ZOK, zookeeper_close(other));
}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
#define CHECK(name) {#name, name}
    CHECK(create_get_set_delete),
    CHECK(every_mode_of_znode),
    CHECK(children),
    CHECK(access_lists),
    CHECK(credentials),
    CHECK(sync_answers),
    CHECK(transactions),
    CHECK(configuration),
    CHECK(many_requests_at_once),
    CHECK(one_shot_watches),
    CHECK(removed_watches),
    CHECK(watches_outlive_a_connection),
    CHECK(what_changed_meanwhile_is_told),
    CHECK(ephemerals_go_with_their_session),
    CHECK(an_expired_session_is_told),
    CHECK(pings_keep_an_idle_session),
    CHECK(a_lock),
    CHECK(a_restarted_server_keeps_data_and_sessions),
};

int main(void) {
    static struct events events = NO_EVENTS;
    volatile int failed = 0;
    const size_t count = sizeof checks / sizeof checks[0];
    root = getenv("INTEROP_ROOT");
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    say("client ZooKeeper for C %s", ZOO_VERSION);
    if (setjmp(broken)) {
        say("FAILED start: %s", why);
        return 1;
    }
    zk = join_session(&events, TIMEOUT_MS, NULL);
    CODE(ZOK, zoo_create(zk, root, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0));
    for (volatile size_t i = 0; i < count; i++) {
        if (setjmp(broken) == 0) {
            checks[i].run();
            say("ok %s", checks[i].name);
        } else {
            failed++;
            say("FAILED %s: %s", checks[i].name, why);
        }
    }
    zookeeper_close(zk);
    say("checked %zu", count);
    return failed ? 1 : 0;
}
