/* QEMU 7.2 TCG plugin (API version 1, no qemu-plugin.h needed): all instructions that the guest executed, exactly.
 *
 *   gcc -O2 -shared -fPIC tools/cycles/qemu_icount_plugin.c -o icount.so
 *   qemu-system-arm ... -plugin ./icount.so
 *
 * Prints one line on stderr when the guest ends. Checks the figure that the firmware counts by itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum { OP_ADD_U64 = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *ptr, uint64_t imm);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t n;
static void tb(qemu_plugin_id_t id, struct qemu_plugin_tb *t) {
    qemu_plugin_register_vcpu_tb_exec_inline(t, OP_ADD_U64, &n, qemu_plugin_tb_n_insns(t));
}
static void fin(qemu_plugin_id_t id, void *p) { fprintf(stderr, "guest instructions: %llu\n", (unsigned long long)n); }
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
                                                               char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(id, tb);
    qemu_plugin_register_atexit_cb(id, fin, NULL);
    return 0;
}
