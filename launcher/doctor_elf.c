/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "launcher/doctor.h"

/* The dynamic loader ignores a preload whose path is not in its own directories as soon as a
 * program gains rights by being started (AT_SECURE, see ld.so(8)). */
static void examine_rights(struct findings *f, const char *path)
{
	struct stat st;
	struct statvfs fs;
	char capability[64];
	bool suid, sgid;

	if (stat(path, &st) < 0)
		return;
	if (statvfs(path, &fs) == 0 && fs.f_flag & ST_NOSUID)
		return; /* the kernel ignores the bits here */
	suid = st.st_mode & S_ISUID;
	sgid = (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	if ((suid && st.st_uid != getuid()) || (sgid && st.st_gid != getgid()))
		found(f, LEVEL_PROBLEM, "rights",
		      "Run it as the user it changes to, or use a copy without the bit.",
		      "%s is %s: the loader drops LD_PRELOAD", path, suid ? "setuid" : "setgid");
	else if (suid || sgid)
		found(f, LEVEL_WARNING, "rights", "",
		      "%s is %s: as the user you are now it is traced, as others it is not", path,
		      suid ? "setuid" : "setgid");
	if (getxattr(path, "security.capability", capability, sizeof(capability)) <= 0)
		return;
	if (getuid() != 0)
		found(f, LEVEL_PROBLEM, "rights",
		      "Use a copy without capabilities (setcap -r), or start it as root, or give "
		      "the "
		      "rights as ambient capabilities (systemd: AmbientCapabilities=).",
		      "%s has file capabilities: the loader drops LD_PRELOAD", path);
	else
		found(f, LEVEL_WARNING, "rights", "",
		      "%s has file capabilities: as root it is traced, as other users it is not",
		      path);
}

static void examine_sanitizers(struct findings *f, const struct elf_file *elf, const char *path)
{
	const char *options = getenv("ASAN_OPTIONS"), *library = elf_file_needs(elf, "libasan.so");

	if (!library)
		library = elf_file_needs(elf, "libclang_rt.asan");
	if (library && !(options && strstr(options, "verify_asan_link_order=0")))
		found(f, LEVEL_PROBLEM, "sanitizer",
		      "Set ASAN_OPTIONS=verify_asan_link_order=0, or use a build without "
		      "AddressSanitizer.",
		      "%s is built with AddressSanitizer (%s), which refuses to start with a "
		      "preloaded library",
		      path, library);
	else if (library || elf_file_names(elf, "__asan_init"))
		found(f, LEVEL_WARNING, "sanitizer", "",
		      "%s is built with AddressSanitizer: it and we stand in front of the same "
		      "functions",
		      path);
	else if (elf_file_needs(elf, "libtsan.so") || elf_file_names(elf, "__tsan_init") ||
		 elf_file_names(elf, "__msan_init"))
		found(f, LEVEL_WARNING, "sanitizer", "",
		      "%s is built with a sanitizer: its reports may name us wrongly", path);
}

static bool examine_loader(struct findings *f, const struct elf_file *elf, const char *path)
{
	const char *libc = strstr(elf->interpreter, "ld-musl") ? "musl" : "glibc";

	if (access(elf->interpreter, X_OK) < 0) {
		found(f, LEVEL_PROBLEM, "program",
		      strcmp(libc, "musl") == 0 ? "It was built for musl: install musl here."
						: "Install the C library it was built for.",
		      "%s needs the loader %s, which is not here: the program cannot start", path,
		      elf->interpreter);
		return false;
	}
	found(f, LEVEL_OK, "program", "", "%s: %s program, dynamic, %s", path,
	      elf_machine_name(elf->machine), libc);
	return true;
}

static void examine_linkage(struct findings *f, const struct elf_file *elf, const char *path)
{
	const char *sdk;

	if (elf->go) {
		found(f, LEVEL_PROBLEM, "program",
		      "Use the OpenTelemetry SDK for Go in it; the programs around it are traced "
		      "all the same.",
		      "%s is a Go program: it makes system calls itself, past the C library", path);
		return;
	}
	if (!elf->interpreter) {
		found(f, LEVEL_PROBLEM, "program", "Use a dynamically linked build of it.",
		      "%s is statically linked: nothing can be preloaded into it", path);
		return;
	}
	if (!examine_loader(f, elf, path))
		return;
	examine_sanitizers(f, elf, path);
	tls_examine(f, elf, path);
	sdk = elf_file_needs(elf, "libopentelemetry");
	if (sdk)
		found(f, LEVEL_WARNING, "own SDK", "Turn one of the two off.",
		      "%s is linked with the OpenTelemetry SDK (%s): requests that carry its trace "
		      "headers get no span of ours",
		      path, sdk);
}

void elf_examine(struct findings *f, const char *path)
{
	struct elf_file elf;
	int err = elf_file_open(&elf, path);

	if (err == -EACCES) {
		found(f, LEVEL_WARNING, "program", "Run the doctor as a user who may read it.",
		      "%s may be run but not read: what it is stays unknown", path);
		return;
	}
	if (err) {
		found(f, LEVEL_PROBLEM, "program", "", "%s %s", path,
		      err == -ENOEXEC   ? "is no program this system can load"
		      : err == -EBADMSG ? "is a damaged program file"
					: strerror(-err));
		return;
	}
	if (elf.bits != 64)
		found(f, LEVEL_PROBLEM, "program", "Use a 64-bit build of it.",
		      "%s is a 32-bit program (%s): the library is 64-bit", path,
		      elf_machine_name(elf.machine));
	else if (!elf.native)
		found(f, LEVEL_PROBLEM, "program", "Use a build for this machine.",
		      "%s is a program for %s: the library is not", path,
		      elf_machine_name(elf.machine));
	else
		examine_linkage(f, &elf, path);
	examine_rights(f, path);
	elf_file_close(&elf);
}
