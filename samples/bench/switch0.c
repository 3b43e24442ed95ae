/* Switches of the address space with a fence of everything, 0 pages touched after each. */
#define TOUCHED 0
#define BY_ASID 0
#include "switch.h"
