/* Switches of the address space with a fence of everything, 8 pages touched after each. */
#define TOUCHED 8
#define BY_ASID 0
#include "switch.h"
