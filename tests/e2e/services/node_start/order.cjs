// SPDX-License-Identifier: Apache-2.0
// In what order a main file's callbacks run, and where its exception goes.
'use strict';
process.nextTick(() => console.log('tick'));
Promise.resolve().then(() => console.log('promise'));
process.on('uncaughtException', (error, origin) => console.log(error.message, origin));
console.log(require.main === module, process.argv.slice(2), process.execArgv, module.children.length);
console.log(Object.keys(require.cache).length, JSON.stringify(process.env.NODE_OPTIONS));
throw new Error('thrown');
