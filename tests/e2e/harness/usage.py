# SPDX-License-Identifier: Apache-2.0
"""What processes hold: memory, descriptors, threads."""
import os


def resident(pid):
    """Private and shared resident bytes, without file pages other programs share."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        fields = dict(line.split(":", 1) for line in f if ":" in line)
    return sum(int(fields[n].split()[0]) for n in
               ("Private_Dirty", "Private_Clean", "Shared_Dirty")) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
