/* The registers of an x86 guest: a list in groups, which can be folded; and a choice of the vCPU.
 */
#ifndef VITRINE_GUI_REGISTERS_X86_H
#define VITRINE_GUI_REGISTERS_X86_H

#include <gtk/gtk.h>

#include "hv/session.h"

#define VITRINE_TYPE_REGISTERS_X86 (vitrine_registers_x86_get_type())
G_DECLARE_FINAL_TYPE(VitrineRegistersX86, vitrine_registers_x86, VITRINE, REGISTERS_X86, GtkBox)

/* Signal "vcpu-chosen": the session's questions are about another vCPU from now on. */
GtkWidget *vitrine_registers_x86_new(void);
void vitrine_registers_x86_set_session(VitrineRegistersX86 *view, struct session *session);
void vitrine_registers_x86_refresh(VitrineRegistersX86 *view);

#endif
