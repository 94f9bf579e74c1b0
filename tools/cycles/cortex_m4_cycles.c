/* QEMU 7.2 TCG plugin (API version 1, no qemu-plugin.h needed): executed instructions by address and mnemonic, taken
 * branches, and modelled Cortex-M4 cycles, split into phases at given addresses.
 *
 *   gcc -O2 -shared -fPIC tools/cycles/cortex_m4_cycles.c -o cycles.so
 *   qemu-system-arm ... -plugin ./cycles.so,out=counts.txt,mark=0x2a10,mark=0x2b20
 *
 * Counting starts in phase 0; whenever an instruction at a `mark` is about to run, the phase becomes the number of that
 * mark (1 for the first). counts.txt: "phase pc count taken size text".
 *
 * Cycles, model A (from the Cortex-M4 TRM r0p1, tables 3-1 and 7-1, zero wait states): VFMA/VFMS/VFNM*,
 * VMLA/VMLS 3; VDIV, VSQRT 14; VLDR 2, VSTR 2; VLDM/VSTM/VPUSH/VPOP 1+n (n: words; a double is 2); LDR* 2, STR* 2
 * (LDRD/STRD 3); LDM/STM/PUSH/POP 1+n, +1 with pc; taken branch 2, not taken 1; TBB/TBH 3; MLA/MLS 2; SDIV/UDIV 6
 * (2..12); all others, VADD, VSUB, VMUL, VCMP, VCVT, VMOV, IT included, 1.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { OP_ADD_U64 = 0 };
enum { CB_NO_REGS = 0 };
#define API __attribute__((visibility("default")))
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *ptr, uint64_t imm);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags,
                                                   void *);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags,
                                                 void *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
API int qemu_plugin_version = 1;

enum { PHASES = 16, SLOTS = 1 << 18 };
typedef struct {
    uint64_t n, taken, acc[PHASES], acc_taken[PHASES];
    uint32_t pc, size;
    char *text;
} Slot;
static Slot *slots[SLOTS]; /* by pc/2: flash of up to 512 KB from `base` on */
static uint64_t base;
typedef struct {
    uint64_t start, end;
    Slot *last;
} Block;
static Block *previous;
static uint64_t marks[PHASES];
static int n_marks, phase;
static const char *out = "counts.txt";

static void flush_phase(void) {
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i] && slots[i]->n) {
            slots[i]->acc[phase] += slots[i]->n;
            slots[i]->acc_taken[phase] += slots[i]->taken;
            slots[i]->n = slots[i]->taken = 0;
        }
}
static void at_mark(unsigned vcpu, void *p) {
    (void)vcpu;
    flush_phase();
    phase = (int)(intptr_t)p;
}
static void at_block(unsigned vcpu, void *p) {
    (void)vcpu;
    Block *b = p;
    if (previous && previous->end != b->start)
        previous->last->taken++;
    previous = b;
}
static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    Block *b = calloc(1, sizeof *b);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t pc = qemu_plugin_insn_vaddr(insn), at = (pc - base) / 2;
        if (at >= SLOTS)
            continue;
        if (!slots[at]) {
            Slot *s = slots[at] = calloc(1, sizeof *s);
            s->pc = (uint32_t)pc;
            s->size = (uint32_t)qemu_plugin_insn_size(insn);
            s->text = qemu_plugin_insn_disas(insn);
        }
        for (int m = 0; m < n_marks; m++)
            if (marks[m] == pc)
                qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, CB_NO_REGS, (void *)(intptr_t)(m + 1));
        qemu_plugin_register_vcpu_insn_exec_inline(insn, OP_ADD_U64, &slots[at]->n, 1);
        if (i == 0)
            b->start = pc;
        if (i == n - 1) {
            b->end = pc + slots[at]->size;
            b->last = slots[at];
        }
    }
    if (b->last)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, at_block, CB_NO_REGS, b);
}
static int starts(const char *s, const char *p) { return strncmp(s, p, strlen(p)) == 0; }
/* Words of a register list: "{r4, r5, pc}" or "{d8-d15}" or "{s0, s1}". */
static int words(const char *t) {
    const char *p = strchr(t, '{');
    if (!p)
        return 1;
    int n = 0;
    char kind = 'r';
    while (*p && *p != '}') {
        p++;
        while (*p == ' ')
            p++;
        kind = *p;
        int a = 0, c;
        while (*p && *p != ',' && *p != '-' && *p != '}') {
            if (*p >= '0' && *p <= '9')
                a = a * 10 + *p - '0';
            p++;
        }
        c = a;
        if (*p == '-') {
            c = 0;
            p++;
            while (*p && *p != ',' && *p != '}') {
                if (*p >= '0' && *p <= '9')
                    c = c * 10 + *p - '0';
                p++;
            }
        }
        n += c - a + 1;
    }
    return kind == 'd' ? 2 * n : n;
}
static int branch(const char *m) {
    if (starts(m, "bl") && !starts(m, "ble") && !starts(m, "blt") && !starts(m, "bls") && !starts(m, "blo"))
        return 1;
    if (starts(m, "bx") || starts(m, "cb"))
        return 1;
    if (m[0] != 'b')
        return 0;
    return !(starts(m, "bic") || starts(m, "bf") || starts(m, "bkpt"));
}
/* Cycles of one execution when not a taken branch; *extra for a taken one. */
static double model(const char *t, double *extra) {
    char m[16] = {0};
    sscanf(t, "%15s", m);
    *extra = 0;
    if (branch(m)) {
        *extra = 1;
        return 1;
    }
    if (starts(m, "tb"))
        return 3;
    if (starts(m, "vfm") || starts(m, "vfnm") || starts(m, "vmla") || starts(m, "vmls") || starts(m, "vnml"))
        return 3;
    if (starts(m, "vdiv") || starts(m, "vsqrt"))
        return 14;
    if (starts(m, "vldm") || starts(m, "vstm") || starts(m, "vpush") || starts(m, "vpop"))
        return 1 + words(t);
    if (starts(m, "vldr") || starts(m, "vstr"))
        return strstr(t, " d") ? 3 : 2;
    if (starts(m, "vmov") && strstr(t, " d"))
        return 2;
    if (starts(m, "ldm") || starts(m, "stm") || starts(m, "push") || starts(m, "pop"))
        return 1 + words(t) + (strstr(t, "pc") ? 1 : 0);
    if (starts(m, "ldrd") || starts(m, "strd"))
        return 3;
    if (starts(m, "ldr") || starts(m, "str"))
        return 2;
    if (starts(m, "mla") || starts(m, "mls"))
        return 2;
    if (starts(m, "sdiv") || starts(m, "udiv"))
        return 6;
    return 1;
}
typedef struct {
    char name[16];
    uint64_t n[PHASES];
    double c[PHASES];
} Row;
static Row rows[512];
static int n_rows;
static int by_count(const void *a, const void *b) {
    const Row *x = a, *y = b;
    uint64_t s = 0, t = 0;
    for (int i = 1; i < PHASES; i++)
        s += x->n[i], t += y->n[i];
    return s < t ? 1 : s > t ? -1 : 0;
}
static void finish(qemu_plugin_id_t id, void *p) {
    (void)id;
    (void)p;
    flush_phase();
    FILE *f = fopen(out, "w");
    if (!f)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i]) {
            Slot *s = slots[i];
            char m[16] = {0};
            sscanf(s->text, "%15s", m);
            char *w = strstr(m, ".w");
            if (w && !w[2])
                *w = 0;
            int r = 0;
            while (r < n_rows && strcmp(rows[r].name, m))
                r++;
            if (r == n_rows && n_rows < 511)
                strcpy(rows[n_rows++].name, m);
            for (int k = 0; k < PHASES; k++)
                if (s->acc[k]) {
                    double extra, c = model(s->text, &extra);
                    rows[r].n[k] += s->acc[k];
                    rows[r].c[k] += c * s->acc[k] + extra * s->acc_taken[k];
                    fprintf(f, "%d %x %llu %llu %u %s\n", k, s->pc, (unsigned long long)s->acc[k],
                            (unsigned long long)s->acc_taken[k], s->size, s->text);
                }
        }
    fclose(f);
    qsort(rows, n_rows, sizeof *rows, by_count);
    for (int k = 0; k <= n_marks; k++) {
        uint64_t n = 0;
        double c = 0;
        for (int r = 0; r < n_rows; r++)
            n += rows[r].n[k], c += rows[r].c[k];
        fprintf(stderr, "phase %d: %llu instructions, %.0f cycles (model A)\n", k, (unsigned long long)n, c);
    }
    for (int r = 0; r < n_rows; r++) {
        fprintf(stderr, "%-12s", rows[r].name);
        for (int k = 1; k <= n_marks; k++)
            fprintf(stderr, " %10llu %11.0f", (unsigned long long)rows[r].n[k], rows[r].c[k]);
        fprintf(stderr, "\n");
    }
}
API int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (starts(argv[i], "mark=") && n_marks < PHASES - 1)
            marks[n_marks++] = strtoull(argv[i] + 5, 0, 0);
        if (starts(argv[i], "out="))
            out = strdup(argv[i] + 4);
        if (starts(argv[i], "base="))
            base = strtoull(argv[i] + 5, 0, 0);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
