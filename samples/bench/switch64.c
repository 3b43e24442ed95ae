/* Switches of the address space with a fence of everything, 64 pages touched after each. */
#define TOUCHED 64
#define BY_ASID 0
#include "switch.h"
