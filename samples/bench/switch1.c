/* Switches of the address space with a fence of everything, one page touched after each. */
#define TOUCHED 1
#define BY_ASID 0
#include "switch.h"
