/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_DESCRIPTORS_H
#define SHIM_DESCRIPTORS_H

/* Tracks the sockets that stand open when the program starts. From the constructor. */
void descriptors_find_inherited(void);

#endif
