/* SPDX-License-Identifier: Apache-2.0 */
/* close() is async-signal-safe; looking up a symbol is not, so every slot is filled before main().
 * Who comes earlier (another library's constructor) has the slots filled by its first call. */
#include "base/symbols.h"
#include "hooks/bare.h"
#include "hooks/real.h"

struct real_symbols real;

/* Any address in this library. */
static const char here;

static void *found_or_bare(const struct symbol *symbol, void *bare)
{
	return symbol->found ? symbol->found : bare;
}

void real_resolve_all(void)
{
	struct symbol symbols[] = {
#define HOOK(name, ...)          { #name, NULL },
#define HOOK_VARIADIC(name, ...) { #name, NULL },
#define HOOK_BY_HAND(name, ...)  { #name, NULL },
#define HOOK_CALLED(name, ...)   { #name, NULL },
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED
	};
	const struct symbol *symbol = symbols;

	symbols_find_all(symbols, sizeof(symbols) / sizeof(*symbols), &here);
	/* Two threads may do this at once: both store the same. */
#define HOOK(name, ret, params, args, bare) real.name = found_or_bare(symbol++, (void *)bare);
#define HOOK_VARIADIC(name, ret, real_params, params, args, bare) \
	real.name = found_or_bare(symbol++, (void *)bare);
#define HOOK_BY_HAND(name, ret, params, bare) real.name = found_or_bare(symbol++, (void *)bare);
#define HOOK_CALLED(name, ret, params, bare)  real.name = found_or_bare(symbol++, (void *)bare);
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED
}
