/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer's side: see https://llvm.org/docs/LibFuzzer.html for the names. */
#include <stdlib.h>

#include "check.h"
#include "mend.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	check_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input input;
	static struct result result;

	input_read(&input, data, size);
	if (!check_input(&input, &result))
		abort();
	return 0;
}

/* One change in eight stays as it is. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15 + 1;

	random = (random ^ random >> 31) * 0xbf58476d1ce4e5b9;
	size = LLVMFuzzerMutate(data, size, max);
	if (size < INPUT_HEAD + ETH_HLEN || size > INPUT_MAX || !(random >> 61))
		return size;
	if (random >> 60 & 1)
		mend_addresses(data + INPUT_HEAD, size - INPUT_HEAD, random >> 8);
	mend_sums(data + INPUT_HEAD, size - INPUT_HEAD, random >> 40);
	return size;
}
