// SPDX-License-Identifier: Apache-2.0
// What workers and children are given.
'use strict';
const { execFileSync } = require('child_process');
const { SHARE_ENV, Worker, isMainThread, threadId } = require('worker_threads');
const look = () => console.log(threadId, JSON.stringify(process.env.NODE_OPTIONS), process.execArgv);

const after = (worker) => new Promise((resolve) => { worker.on('exit', resolve); });

(async () => {
  look();
  if (!isMainThread) return;
  await after(new Worker(__filename));
  await after(new Worker(__filename, { env: {} }));
  await after(new Worker(__filename, { env: SHARE_ENV }));
  await after(new Worker(__filename, { execArgv: [] }));
  console.log(execFileSync(process.execPath, ['-p', 'process.env.NODE_OPTIONS']).toString());
  console.log(execFileSync('sh', ['-c', 'echo "${NODE_OPTIONS-unset}"']).toString());
})();
