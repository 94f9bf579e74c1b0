/* QEMU plugin: the instructions that a Cortex-M executed, and what they take by the models of cortex_m.h, from one DBG
 * instruction to the next: modelled, never measured.
 *
 *   cc -O2 -shared -fPIC tools/cycles/cortex_m_cycles.c -o cycles.so
 *   qemu-system-arm ... -plugin ./cycles.so,cpu=m4,laps=laps.txt
 *
 * `firmware-example/run.sh -c` does that. Options: cpu=m4 or m7; laps=FILE gets "instructions cycles" of each lap, which
 * ends with a DBG, a hint that does nothing; counts=FILE gets "part address count cycles text" of each instruction, for
 * by_function.py, where lap n counts to part n mod parts=N.
 *
 * For the plugin interface of QEMU 7.2 (version 1), of which it declares what it needs: Debian packages no header.
 */
#include <stdio.h>

#include "cortex_m.h"

#define API __attribute__((visibility("default")))
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);
API int qemu_plugin_version = 1;

enum { PARTS = 8 };

/* Instructions that run one after the other. */
typedef struct Block Block;
struct Block {
    uint64_t start, end;
    size_t length;
    char **texts;
    uint64_t *addresses;
    int *cycles;
    int all_cycles;
    /* Executions, and those of them that ended in a taken branch, of this lap and of each part. */
    uint64_t runs, taken, part_runs[PARTS], part_taken[PARTS];
    Block *next;
};

static Block *blocks, *previous;
static int is_m7, parts = 1, lap;
static FILE *laps, *counts;

/* Adds up a lap and begins the next one. */
static void end_lap(void) {
    uint64_t instructions = 0, cycles = 0;
    for (Block *b = blocks; b; b = b->next) {
        instructions += b->runs * b->length;
        cycles += b->runs * (uint64_t)b->all_cycles + (is_m7 ? 0 : b->taken);
        b->part_runs[lap % parts] += b->runs;
        b->part_taken[lap % parts] += b->taken;
        b->runs = b->taken = 0;
    }
    if (laps)
        fprintf(laps, "%llu %llu\n", (unsigned long long)instructions, (unsigned long long)cycles);
    lap++;
}

static void on_mark(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    end_lap();
}

static void on_block(unsigned cpu, void *data) {
    (void)cpu;
    Block *b = data;
    if (previous && previous->end != b->start)
        previous->taken++;
    b->runs++;
    previous = b;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    Block *b = calloc(1, sizeof *b);
    b->length = n;
    b->texts = calloc(n, sizeof *b->texts);
    b->addresses = calloc(n, sizeof *b->addresses);
    b->cycles = calloc(n, sizeof *b->cycles);
    b->next = blocks, blocks = b;

    /* The first instruction's own cycle has not yet been counted. */
    CortexM7 core = {.cycle = -1, .issued = 2};
    Instruction now, before = {0};
    for (size_t i = 0; i < n; i++, before = now) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        b->texts[i] = qemu_plugin_insn_disas(insn);
        b->addresses[i] = qemu_plugin_insn_vaddr(insn);
        b->end = b->addresses[i] + qemu_plugin_insn_size(insn);
        now = instruction(b->texts[i]);
        b->cycles[i] = is_m7 ? cortex_m7(&core, &now) : cortex_m4(&now, i ? &before : NULL);
        b->all_cycles += b->cycles[i];
        if (begins(b->texts[i], "dbg"))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGISTERS, NULL);
    }
    b->start = b->addresses[0];
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGISTERS, b);
}

static void finish(qemu_plugin_id_t id, void *data) {
    (void)id, (void)data;
    end_lap();
    if (laps)
        fclose(laps);
    if (!counts)
        return;
    for (Block *b = blocks; b; b = b->next)
        for (int part = 0; part < parts; part++)
            for (size_t i = 0; i < b->length && b->part_runs[part]; i++) {
                uint64_t runs = b->part_runs[part], cycles = runs * (uint64_t)b->cycles[i];
                if (i == b->length - 1 && !is_m7)
                    cycles += b->part_taken[part];
                fprintf(counts, "%d %llx %llu %llu %s\n", part, (unsigned long long)b->addresses[i],
                        (unsigned long long)runs, (unsigned long long)cycles, b->texts[i]);
            }
    fclose(counts);
}

API int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        value = value ? value + 1 : "";
        if (begins(argv[i], "cpu=m7"))
            is_m7 = 1;
        else if (begins(argv[i], "parts="))
            parts = atoi(value);
        else if (begins(argv[i], "laps="))
            laps = fopen(value, "w");
        else if (begins(argv[i], "counts="))
            counts = fopen(value, "w");
        else if (!begins(argv[i], "cpu=m4")) {
            fprintf(stderr, "cortex_m_cycles: what is %s?\n", argv[i]);
            return 1;
        }
    }
    if (parts < 1 || parts > PARTS)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
