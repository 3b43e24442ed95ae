/* Switches of the address space by ASID, without a fence, 8 pages touched after each. */
#define TOUCHED 8
#define BY_ASID 1
#include "switch.h"
