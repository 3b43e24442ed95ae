/*
 * `vitrine kvm-info`: what this host offers to x86 guests, in words, and how to get access.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/cmd/cmd.h"

#ifndef HAVE_KVM

int cmd_kvm_info(const struct options *options, int argc, char **argv)
{
    return cmd_fail("kvm-info: this build has no part for KVM (it needs Linux on x86-64)");
}

#else

#include "hv/kvm/host.h"

static const char *access_name(enum kvm_access access)
{
    static const char *const NAMES[] = {"usable", "missing", "refused", "strange"};
    return NAMES[access];
}

static void print_processor(const struct kvm_host *h)
{
    printf("processor            %s\n", *h->processor ? h->processor : "unknown");
    printf("hardware assistance  %s\n", h->extension);
    if (*h->module)
        printf("kernel module        %s%s\n", h->module,
               h->nested_paging ? ", second-level page tables in hardware" : "");
    if (h->virtualized)
        printf("this host            is itself a virtual machine: guests are nested\n");
}

static void print_features(const struct kvm_host *h)
{
    printf("\nWhat KVM has here (API version %d):\n", h->api);
    for (unsigned i = 0; i < h->features; i++) {
        const struct kvm_host_feature *f = &h->feature[i];
        char value[16];
        snprintf(value, sizeof value, "%d", f->value);
        printf("  %-22s %8s  %s\n", f->name,
               !f->value       ? "no"
               : f->value == 1 ? "yes"
                               : value,
               f->meaning);
    }
}

static void print_measures(const struct kvm_host *h)
{
    printf("\nMeasured now:\n");
    printf("  %-22s %5.1f us  a guest writes to a port, this program looks, the guest goes on\n",
           "one VM exit", (double)h->exit_ns / 1000);
    printf("  %-22s %5.1f ms  with one vCPU and 16 MiB\n", "a new virtual machine",
           (double)h->create_ns / 1e6);
    if (h->exit_ns > 5000)
        printf("\nHardware assistance does an exit in about 1 us. Here it takes longer: the "
               "guest's kernel\n"
               "mode is emulated or nested. Programs in user mode (CPL 3) run at full speed all "
               "the same.\n");
}

static void print_json(FILE *out, const struct kvm_host *h)
{
    fprintf(out,
            "{\"access\":\"%s\",\"reason\":\"%s\",\"module\":\"%s\",\"api\":%d,\"exit_ns\":%llu,"
            "\"create_ns\":%llu,\"virtualized\":%s,\"features\":{",
            access_name(h->access), h->reason, h->module, h->api, (unsigned long long)h->exit_ns,
            (unsigned long long)h->create_ns, h->virtualized ? "true" : "false");
    for (unsigned i = 0; i < h->features; i++)
        fprintf(out, "%s\"%s\":%d", i ? "," : "", h->feature[i].name, h->feature[i].value);
    fprintf(out, "}}\n");
}

static int write_json(const char *path, const struct kvm_host *h)
{
    FILE *out = path ? fopen(path, "we") : stdout;
    if (!out)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    print_json(out, h);
    bool failed = path && (ferror(out) | fclose(out));
    if (failed)
        return cmd_fail("%s: cannot write: %s", path, strerror(errno));
    return h->access == KVM_USABLE ? 0 : 1;
}

int cmd_kvm_info(const struct options *options, int argc, char **argv)
{
    struct kvm_host host;
    kvm_host_look(options->config.kvm_fd, &host);
    if (options->json)
        return write_json(options->json_file, &host);
    print_processor(&host);
    if (host.access != KVM_USABLE) {
        printf("\nKVM cannot be used: %s.\nWhat to do: %s.\n", host.reason, host.remedy);
        printf("All else of Vitrine works without it.\n");
        return 1;
    }
    printf("/dev/kvm             can be used\n");
    print_features(&host);
    print_measures(&host);
    return 0;
}

#endif
