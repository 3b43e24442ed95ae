/* What a PC's devices ask of whoever runs the machine. */
#ifndef VITRINE_KVM_POWER_H
#define VITRINE_KVM_POWER_H

enum power_request { POWER_OFF, POWER_RESET };

/* `request` is called during the guest's store. code: what the run ends with, 0 but for the debug
 * exit port. */
struct power {
    void (*request)(void *context, enum power_request request, int code);
    void *context;
};

#endif
