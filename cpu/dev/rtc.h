/* Goldfish RTC: the date, and an alarm. */
#ifndef VITRINE_CPU_RTC_H
#define VITRINE_CPU_RTC_H

#include "cpu/dev/device.h"

struct rtc;
struct hart;

/* Time starts at RTC_START and goes with the hart's mtime, so that runs replay; with the host's
 * clock it is the host's date. NULL: no memory. */
struct rtc *rtc_new(struct hart *hart, struct irq_line irq);
struct device *rtc_device(struct rtc *rtc);

#define RTC_START 946684800000000000ull /* 2000-01-01 00:00 UTC, in ns since 1970 */

#endif
