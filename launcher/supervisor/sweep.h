/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of supervisors that were killed, and nobody beside them was left to clear away. */
#ifndef LAUNCHER_SUPERVISOR_SWEEP_H
#define LAUNCHER_SUPERVISOR_SWEEP_H

#define SWEEP_NAME "tagalong-" /* and what mkdtemp() makes of six X */

/* Removes those of our own user in `place` whose control file nobody has locked. Processes that
 * still have their files mapped have them until they end. */
void sweep(const char *place);

#endif
