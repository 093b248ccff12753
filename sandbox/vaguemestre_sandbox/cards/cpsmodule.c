/* A PKCS#11 module that stands before SoftHSM2 and behaves like a professional card's middleware.
 *
 * SoftHSM2 never locks a PIN, has every mechanism and any number of sessions. A card has three tries, the mechanisms of
 * its generation and five sessions, and it can be pulled out. This file adds that and passes everything else on.
 *
 * VAGUEMESTRE_CARD_BACKEND  the SoftHSM2 library
 * VAGUEMESTRE_CARD_STATE    a folder: LABEL.tries (one digit) is the PIN counter of a token; "pulled" empties the
 *                           readers; "hang" and "crash" strike at the next signature, "login-hang" and "login-crash"
 *                           at the next PIN, once the card has counted the try.
 *
 * Source: PKCS #11 v2.40 (order of CK_FUNCTION_LIST, CK_TOKEN_INFO, return codes). POSIX only.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;
struct version { unsigned char major, minor; };
struct functions { struct version version; void *entry[68]; };
struct token_info {
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    word flags, rest[11];
    struct version hardware, firmware;
    unsigned char time[16];
};
struct session_info { word slot, state, flags, error; };

enum { INITIALIZE = 0, FINALIZE = 1, LIST = 3, SLOTS = 4, TOKEN = 6, MECHANISMS = 7, OPEN = 12, CLOSE = 13, CLOSE_ALL = 14,
       SESSION = 15, LOGIN = 18, FIND = 26, SIGN = 43 };
enum { OK = 0, NOT_PRESENT = 0xE0, REMOVED = 0x32, WRONG = 0xA0, LOCKED = 0xA4, TOO_MANY = 0xB1, SMALL = 0x150 };
enum { TRIES = 3, SESSIONS = 5 };
#define COUNT_LOW 0x10000UL
#define FINAL_TRY 0x20000UL
#define PIN_LOCKED 0x40000UL

static struct functions *real, ours;
static int open_sessions;

static int state_path(char *out, size_t size, const char *name) {
    const char *folder = getenv("VAGUEMESTRE_CARD_STATE");
    if (!folder) return 0;
    return snprintf(out, size, "%s/%s", folder, name) < (int)size;
}
static int said(const char *name) {
    char path[1024];
    return state_path(path, sizeof path, name) && access(path, F_OK) == 0;
}
static void trimmed(const struct token_info *info, char *out) {
    int length = 32;
    while (length && (info->label[length - 1] == ' ' || info->label[length - 1] == 0)) length--;
    memcpy(out, info->label, length);
    strcpy(out + length, ".tries");
}
static int tries_of(const struct token_info *info, int set) {
    char name[64], path[1024];
    trimmed(info, name);
    if (!state_path(path, sizeof path, name)) return TRIES;
    int left = TRIES;
    FILE *file = fopen(path, set < 0 ? "r" : "w");
    if (file && set < 0 && fscanf(file, "%d", &left) != 1) left = TRIES;
    if (file && set >= 0) fprintf(file, "%d", set);
    if (file) fclose(file);
    return left;
}
static word raw_token(word slot, struct token_info *info) {
    return ((word (*)(word, struct token_info *))real->entry[TOKEN])(slot, info);
}
static word get_token(word slot, struct token_info *info) {
    if (said("pulled")) return NOT_PRESENT;
    word rv = raw_token(slot, info);
    if (rv != OK) return rv;
    int left = tries_of(info, -1);
    info->flags &= ~(COUNT_LOW | FINAL_TRY | PIN_LOCKED);
    if (left < TRIES) info->flags |= COUNT_LOW;
    if (left == 1) info->flags |= FINAL_TRY;
    if (left <= 0) info->flags |= PIN_LOCKED;
    memcpy(info->model, memcmp(info->label, "CPS4", 4) ? "IAS ECC         " : "NXP             ", 16);
    return OK;
}
static word get_slots(unsigned char present, word *slots, word *count) {
    if (present && said("pulled")) { *count = 0; return OK; }
    return ((word (*)(unsigned char, word *, word *))real->entry[SLOTS])(present, slots, count);
}
static word get_mechanisms(word slot, word *out, word *count) {
    static const word both[] = {0x1, 0x3, 0x6, 0x40}, cps4[] = {0xD, 0xE, 0x43};
    struct token_info info;
    word rv = raw_token(slot, &info), kept[8], total = 0;
    if (rv != OK) return rv;
    for (int i = 0; i < 4; i++) kept[total++] = both[i];
    if (!memcmp(info.label, "CPS4", 4)) for (int i = 0; i < 3; i++) kept[total++] = cps4[i];
    word room = *count;
    *count = total;
    if (!out) return OK;
    if (room < total) return SMALL;
    memcpy(out, kept, total * sizeof *kept);
    return OK;
}
static word open_session(word slot, word flags, void *application, void *notify, word *handle) {
    if (said("pulled")) return NOT_PRESENT;
    if (open_sessions >= SESSIONS) return TOO_MANY;
    word rv = ((word (*)(word, word, void *, void *, word *))real->entry[OPEN])(slot, flags, application, notify, handle);
    if (rv == OK) open_sessions++;
    return rv;
}
static word close_session(word handle) {
    word rv = ((word (*)(word))real->entry[CLOSE])(handle);
    if (rv == OK && open_sessions) open_sessions--;
    return said("pulled") ? REMOVED : rv;
}
static word close_all(word slot) { open_sessions = 0; return ((word (*)(word))real->entry[CLOSE_ALL])(slot); }
static word finalize(void *reserved) { open_sessions = 0; return ((word (*)(void *))real->entry[FINALIZE])(reserved); }
static word login(word handle, word user, unsigned char *pin, word length) {
    struct session_info session;
    struct token_info info;
    if (said("pulled")) return REMOVED;
    word rv = ((word (*)(word, struct session_info *))real->entry[SESSION])(handle, &session);
    if (rv == OK) rv = raw_token(session.slot, &info);
    if (rv != OK) return rv;
    int left = tries_of(&info, -1);
    if (left <= 0) return LOCKED;
    tries_of(&info, left - 1);
    if (said("login-crash")) *(volatile int *)0 = 1;
    while (said("login-hang")) sleep(1);
    rv = ((word (*)(word, word, unsigned char *, word))real->entry[LOGIN])(handle, user, pin, length);
    if (rv == OK) tries_of(&info, TRIES);
    else if (rv != WRONG) tries_of(&info, left);
    return rv;
}
static word find(word handle, void *template, word count) {
    if (said("pulled")) return REMOVED;
    return ((word (*)(word, void *, word))real->entry[FIND])(handle, template, count);
}
static word sign(word handle, unsigned char *data, word length, unsigned char *out, word *out_length) {
    if (said("pulled")) return REMOVED;
    if (said("crash")) *(volatile int *)0 = 1;
    while (said("hang")) sleep(1);
    return ((word (*)(word, unsigned char *, word, unsigned char *, word *))real->entry[SIGN])(
        handle, data, length, out, out_length);
}

word C_GetFunctionList(struct functions **out) {
    if (!real) {
        const char *path = getenv("VAGUEMESTRE_CARD_BACKEND");
        void *library = dlopen(path ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
        word (*get)(struct functions **) = library ? (word (*)(struct functions **))dlsym(library, "C_GetFunctionList") : 0;
        word rv = get ? get(&real) : 0x5;
        if (rv != OK) return rv;
        ours = *real;
        ours.entry[FINALIZE] = (void *)finalize;
        ours.entry[LIST] = (void *)C_GetFunctionList;
        ours.entry[SLOTS] = (void *)get_slots;
        ours.entry[TOKEN] = (void *)get_token;
        ours.entry[MECHANISMS] = (void *)get_mechanisms;
        ours.entry[OPEN] = (void *)open_session;
        ours.entry[CLOSE] = (void *)close_session;
        ours.entry[CLOSE_ALL] = (void *)close_all;
        ours.entry[LOGIN] = (void *)login;
        ours.entry[FIND] = (void *)find;
        ours.entry[SIGN] = (void *)sign;
    }
    *out = &ours;
    return OK;
}
