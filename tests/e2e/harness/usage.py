# SPDX-License-Identifier: Apache-2.0
"""What processes hold: memory, descriptors, threads."""
import os
import re


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


class Mappings:
    """What a process holds of memory without a name: resident bytes of the heap that malloc grows, and of all that is
    mapped besides, as much of it as there is, ours among it."""

    def __init__(self, pid):
        self.heap = self.resident = self.mapped = 0
        name = None
        with open(f"/proc/{pid}/smaps") as f:
            for line in f:
                start = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
                if start:
                    name = start[3]
                    self.mapped += 0 if name else int(start[2], 16) - int(start[1], 16)
                elif line.startswith(("Private_Dirty:", "Shared_Dirty:")):
                    held = int(line.split()[1]) * 1024
                    self.heap += held if name == "[heap]" else 0
                    self.resident += held if not name else 0

    def __repr__(self):
        return f"heap {self.heap >> 10}K, besides {self.resident >> 10}K of {self.mapped >> 10}K"
