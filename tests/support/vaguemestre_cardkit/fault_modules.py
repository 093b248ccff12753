"""PKCS#11 libraries of a few lines of C, compiled by the tests, each with one fault (hang, crash, refuse…)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vaguemestre_cardkit.building import built

_SOURCE: Final = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef unsigned long CK_RV; typedef unsigned long CK_ULONG;
struct version { unsigned char major, minor; };
struct info { struct version cryptoki; char manufacturer[32]; CK_ULONG flags;
              char description[32]; struct version library; };
struct list { struct version version; void *entry[68]; };
#define WHEN(step) if (!strcmp(STEP, step)) { FAULT }
static CK_RV initialize(void *arguments) { (void)arguments; WHEN("initialize") return 0; }
static CK_RV finalize(void *arguments) { (void)arguments; WHEN("finalize") return 0; }
static CK_RV get_info(struct info *out) {
    WHEN("info")
    memset(out, ' ', sizeof *out); out->cryptoki.major = 2; out->cryptoki.minor = 20; out->flags = 0;
    out->library.major = 5; out->library.minor = 2; return 0;
}
static CK_RV get_slot_list(unsigned char present, CK_ULONG *slots, CK_ULONG *count) {
    (void)present; (void)slots; WHEN("slots") *count = 0; return 0;
}
static CK_RV other(void) { return 0x54; }
static struct list functions;
CK_RV C_GetFunctionList(struct list **out) {
    WHEN("entry")
    functions.version.major = 2; functions.version.minor = 20;
    for (int i = 0; i < 68; i++) functions.entry[i] = (void *)other;
    functions.entry[0] = (void *)initialize; functions.entry[1] = (void *)finalize;
    functions.entry[2] = (void *)get_info; functions.entry[4] = (void *)get_slot_list;
    *out = &functions; return 0;
}
__attribute__((constructor)) static void loaded(void) {
    const char *step = STEP; if (!strcmp(step, "load")) { VOID_FAULT }
}
"""

# How each fault is written: inside a function that returns a code, and inside the constructor.
FAULTS: Final = {
    "hang": ("for (;;) sleep(1);", "for (;;) sleep(1);"),
    "crash": ("*(volatile int *)0 = 1;", "*(volatile int *)0 = 1;"),
    "refuse": ("return 0x30;", ""),
    "leave": ("exit(0);", "exit(0);"),
    "print": (r'printf("vaguemestre-probe {\"step\": 7}\nnoise\n"); fflush(stdout); return 5;', ""),
    "none": ("", ""),
}


def compiled(folder: Path, fault: str, step: str) -> Path:
    """Compile a library with ``fault`` at ``step`` (load, entry, initialize, info, slots); skips without a compiler."""
    inside, constructor = FAULTS[fault]
    defined = f'#define STEP "{step}"\n#define FAULT {inside}\n#define VOID_FAULT {constructor}\n'
    return built(folder, f"{fault}-{step}", defined + _SOURCE)
