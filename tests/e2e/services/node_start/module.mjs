// SPDX-License-Identifier: Apache-2.0
import http, { request } from 'node:http';
import { readFileSync } from 'node:fs';

console.log(request === http.request, readFileSync(new URL(import.meta.url)).length, process.env.NODE_OPTIONS);
process.nextTick(() => console.log('tick'));
await null;
console.log('awaited');
