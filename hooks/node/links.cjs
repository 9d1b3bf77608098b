// SPDX-License-Identifier: Apache-2.0
// Runs in Node before the program, in its main thread and in each worker. AsyncLocalStorage carries
// the context of a request that came in to the requests it causes, which take it along as a header;
// the library, which sees the bytes, puts its own span there. What belongs to a request the library
// is asked: a read() of a descriptor that cannot exist is the question. Where the library is not
// there that fails, and nothing is done.
//
// Nothing here may be noticed: no exception leaves it, the program's objects get no property that
// can be listed, and nothing is loaded that the program has not loaded, but for http when the first
// connection comes in.
'use strict';
(() => {
const fs = require('fs');
const { readSync } = fs;
const QUESTION = 0x7ffffff1;
const TARGET_MAX = 2048;
const HEAD = 12; // struct question of shim/question.h

// What is asked and answered: a head of three words and the request's target; lines of a header.
const words = new Int32Array(4096);
const bytes = Buffer.from(words.buffer);

// The program shall see its own NODE_OPTIONS, and give it to its children.
const restore = () => {
  const found = process.env.NODE_OPTIONS;
  const ours = found && /^--(?:require=\S*tagalong-node\.cjs|import=data:text\/javascript;by=tagalong;\S*)( |$)/.exec(found);
  if (!ours) return;
  if (ours[1]) process.env.NODE_OPTIONS = found.slice(ours[0].length);
  else delete process.env.NODE_OPTIONS;
};

const libraryAnswers = () => {
  words.fill(0, 0, 3);
  words[0] = -1;
  try {
    return readSync(QUESTION, bytes, 0, bytes.length, null) === 0;
  } catch {
    return false;
  }
};

try {
  restore();
  if (typeof module === 'object' && typeof __filename === 'string') delete require.cache[__filename];
} catch { /* a frozen or odd environment is none of ours to mend */ }
if (!libraryAnswers()) return;

const channels = require('diagnostics_channel');
let flow, hooks; // AsyncLocalStorage and its module, from the first request on

// ---- what belongs to an object, where nobody else sees it ----

const Returned = function (object) { return object; };
class Flow extends Returned {
  #lines;
  #place;
  constructor(object, lines, place) {
    super(object);
    this.#lines = lines;
    this.#place = place;
  }
  static has(object) { return #lines in object; }
  static of(object, otherwise) { return #lines in object ? object.#lines : otherwise; }
  static placeOf(object) { return #place in object ? object.#place : undefined; }
  static set(object, lines) {
    if (#lines in object) object.#lines = lines; else new Flow(object, lines);
  }
}

// Before version 24 a store costs each callback something. Who has answered so many and asked nobody is
// spared that, until it asks: what is open then is not linked.
const ANSWERED_ALONE = 1000;
let answered = 0, asksOthers = false;
const isSpared = () => {
  if (asksOthers || !flow.kResourceStore || ++answered <= ANSWERED_ALONE) return false;
  if (flow.enabled) flow.disable();
  hooks.executionAsyncResource()[flow.kResourceStore] = undefined; // the last request's, or the like
  return true;
};

const flowNow = () => (asksOthers = true) && flow.getStore();

// ---- asking ----

const ask = (socket, stream, target) => {
  const handle = socket && socket._handle;
  const fd = handle ? handle.fd : -1;
  if (!(fd >= 0) || typeof target !== 'string') return undefined;
  words[0] = fd;
  words[1] = stream;
  words[2] = bytes.latin1Write(target, HEAD, TARGET_MAX);
  const n = readSync(QUESTION, bytes, 0, bytes.length, null);
  return n > 0 ? bytes.latin1Slice(0, n) : undefined;
};

// ---- telling: lines into what is sent ----

const METADATA = /^(?:169\.254\.|\[?fd00:ec2:)/i; // of clouds: nothing of ours goes there
const SIZES = [4096, 8192, 16384, 32768, 65536];
const COUNTS = [64, 100, 128];

// Receivers have limits of these sizes: a head is not pushed over one.
const crosses = (before, after, limits) => {
  for (const limit of limits) if (before <= limit) return after > limit;
  return false;
};

const countLines = (text) => text.split('\n').length - 1;

const nameOf = (line) => line.slice(0, line.indexOf(':'));

// The lines as names and values, without those that has(name) says are there. None, if a context is.
const missing = (lines, has) => {
  if (has('traceparent') || has(nameOf(lines))) return [];
  const out = [];
  for (const line of lines.split('\r\n')) {
    const name = nameOf(line);
    if (name && !has(name)) out.push([name, line.slice(name.length + 2)]);
  }
  return out;
};

const headWith = (head, lines) => {
  if (!head.endsWith('\r\n\r\n') || head.startsWith('CONNECT ')) return head;
  const lower = head.toLowerCase();
  const host = lower.indexOf('\r\nhost: ');
  if (host >= 0 && METADATA.test(lower.substr(host + 8, 16))) return head;
  const added = missing(lines, (name) => lower.includes(`\r\n${name}:`));
  if (!added.length) return head;
  let text = '';
  for (const [name, value] of added) text += `${name}: ${value}\r\n`;
  if (crosses(head.length, head.length + text.length, SIZES)) return head;
  const count = countLines(head) - 2;
  if (crosses(count, count + added.length, COUNTS)) return head;
  return head.slice(0, -2) + text + '\r\n';
};

// ---- carrying ----

const ownerOf = (object, name) => {
  let at = object;
  while (at && !Object.hasOwn(at, name)) at = Object.getPrototypeOf(at);
  return at;
};

// Looks like the one that it stands in front of.
const method = (object, name, value) => {
  const owner = ownerOf(object, name);
  const enumerable = owner ? owner.propertyIsEnumerable(name) : false;
  if (owner) {
    for (const key of ['name', 'length']) {
      Object.defineProperty(value, key, { value: owner[name][key], configurable: true });
    }
  }
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable });
};

// What is called where there is no method of ours: one inherited may be another by then.
const beneath = (object, name) => {
  const own = Object.hasOwn(object, name) ? object[name] : undefined;
  const above = Object.getPrototypeOf(object);
  return () => own || above[name];
};

const apply = (fn, self, args) => fn.apply(self, args);

// Before version 24 a store is of a resource, here the connection's: what comes after the response
// may be no request.
const leave = (response) => {
  const place = Flow.placeOf(response), { kResourceStore } = flow;
  if (place && place[kResourceStore] === Flow.of(response)) place[kResourceStore] = undefined;
};

// Events of an object come in the flow it belongs to, whatever they were caused by.
const bindEvents = (prototype) => {
  const emit = beneath(prototype, 'emit');
  method(prototype, 'emit', function (...args) {
    if (args[0] === 'close') leave(this);
    const now = flow.getStore(), lines = Flow.of(this, now);
    return lines === now ? emit().apply(this, args) : flow.run(lines, apply, emit(), this, args);
  });
};

// What outlives the request that opens it, and serves others, belongs to none.
const belongsToNone = (object, name) => {
  const base = beneath(object, name);
  method(object, name, function (...args) {
    if (!flow || flow.getStore() === undefined) return base().apply(this, args);
    return flow.run(undefined, apply, base(), this, args);
  });
};

const patchHttp = () => {
  const { ClientRequest, IncomingMessage, ServerResponse } = require('http');
  const { prototype } = ClientRequest;
  const base = {};
  for (const name of ['getHeader', '_storeHeader', '_send']) base[name] = beneath(prototype, name);
  // Both are called by the constructor, the first unless headers come as an array.
  for (const name of ['getHeader', '_storeHeader']) {
    method(prototype, name, function (...args) {
      if (!Flow.has(this)) Flow.set(this, flowNow());
      return base[name]().apply(this, args);
    });
  }
  method(prototype, '_send', function (...args) {
    const lines = this._headerSent ? undefined : Flow.of(this), head = this._header;
    if (lines === undefined || typeof head !== 'string') return base._send().apply(this, args);
    this._header = headWith(head, lines);
    try {
      return base._send().apply(this, args);
    } finally {
      this._header = head; // it has been taken
    }
  });
  for (const { prototype: each } of [ClientRequest, IncomingMessage, ServerResponse]) bindEvents(each);
};

// Once, when there is something to carry.
const begin = () => {
  hooks = require('async_hooks');
  flow = new hooks.AsyncLocalStorage();
  belongsToNone(require('net').Socket.prototype, 'connect');
  patchHttp();
  channels.subscribe('undici:request:create', onUndici);
  channels.subscribe('undici:client:connected', onUndiciConnected);
};

// Modules of the program's, by their paths.
const eachLoaded = (pattern, use) => {
  for (const [path, { exports }] of Object.entries(require.cache)) if (pattern.test(path)) use(exports);
};

// ---- requests that come in ----

const onRequest = ({ request, response, socket }) => {
  try {
    if (!flow) begin();
    look();
    lookForDispatcher();
    if (isSpared()) return;
    const lines = ask(socket, 0, request.url);
    Flow.set(request, lines);
    new Flow(response, lines, flow.kResourceStore && hooks.executionAsyncResource());
    if (lines !== flow.getStore()) flow.enterWith(lines);
  } catch { /* then it has no flow */ }
};

// ---- requests that go out by undici, which fetch() is ----

// The handlers of fetch() do not know.
const dispatchersPatched = new WeakSet();
const patchDispatcher = (object) => {
  const at = ownerOf(object, 'dispatch');
  if (!at || dispatchersPatched.has(at)) return;
  dispatchersPatched.add(at);
  const { dispatch } = at;
  method(at, 'dispatch', function (options, handler) {
    if (handler && typeof handler === 'object' && !Flow.has(handler)) Flow.set(handler, flowNow());
    return dispatch.call(this, options, handler);
  });
};

const GLOBAL_DISPATCHER = Symbol.for('undici.globalDispatcher.1');
let dispatcher;
const lookForDispatcher = () => {
  const now = globalThis[GLOBAL_DISPATCHER];
  if (now === dispatcher || !now) return;
  dispatcher = now;
  patchDispatcher(now);
};

// There may be other copies of undici than the global dispatcher's.
let cached = 0;
const lookForUndici = () => {
  const count = Object.keys(require.cache).length;
  if (count === cached) return;
  cached = count;
  eachLoaded(/undici[\\/]lib[\\/](?:dispatcher[\\/])?dispatcher-base\.js$/, ({ prototype }) => patchDispatcher(prototype));
};

// In a bundle what is at its socket tells.
const onUndiciConnected = ({ socket }) => {
  try {
    for (const key of Object.getOwnPropertySymbols(socket)) {
      const { [key]: at } = socket;
      for (const it of [at, at && at.client]) if (it && typeof it.dispatch === 'function') patchDispatcher(it);
    }
  } catch { /* then it is not known whose its requests are */ }
};

// A pool that is busy makes the request later, for another one's sake: who waits for the answer knows.
const flowOfHandler = (request) => {
  const key = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'handler');
  const handler = key && request[key];
  if (handler && Flow.has(handler)) return Flow.of(handler);
  if (handler && typeof handler.runInAsyncScope === 'function') return handler.runInAsyncScope(flowNow);
  lookForUndici();
  return flowNow();
};

const onUndici = ({ request }) => {
  try {
    const lines = flowOfHandler(request);
    if (lines === undefined || request.method === 'CONNECT' || typeof request.addHeader !== 'function' ||
      METADATA.test(String(request.origin).replace(/^\w+:\/\//, ''))) return;
    const { headers } = request;
    let has, size, count;
    if (typeof headers === 'string') {
      const lower = `\r\n${headers.toLowerCase()}`;
      has = (name) => lower.includes(`\r\n${name}:`);
      size = headers.length;
      count = countLines(headers);
    } else {
      has = (name) => headers.some((h, i) => i % 2 === 0 && String(h).toLowerCase() === name);
      size = headers.reduce((n, h) => n + String(h).length + 2, 0);
      count = headers.length / 2;
    }
    const added = missing(lines, has);
    if (!added.length || crosses(size, size + lines.length, SIZES) || crosses(count, count + added.length, COUNTS)) return;
    for (const [name, value] of added) request.addHeader(name, value);
    giveWay(request, added);
  } catch { /* it goes as it is */ }
};

// A tracer of the program's own that comes after us has the last word.
const giveWay = (request, added) => {
  const { addHeader } = request;
  method(request, 'addHeader', function (name, value) {
    if (String(name).toLowerCase() === 'traceparent') {
      delete request.addHeader;
      takeBack(request, added);
    }
    return addHeader.call(request, name, value);
  });
};

const takeBack = (request, added) => {
  for (const [name, value] of added) {
    if (typeof request.headers === 'string') {
      request.headers = request.headers.replace(`${name}: ${value}\r\n`, '');
    } else {
      const at = request.headers.lastIndexOf(name);
      if (at >= 0 && request.headers[at + 1] === value) request.headers.splice(at, 2);
    }
  }
};

// ---- HTTP/2, once the program has loaded it ----

let http2;
const areFields = (headers) => headers === undefined || (headers !== null && typeof headers === 'object');
const fieldsWith = (headers, lines) => {
  const inArray = Array.isArray(headers);
  const keys = headers === undefined ? [] : inArray ? headers.filter((_, i) => i % 2 === 0) : Object.keys(headers);
  const value = (name) => !inArray && headers && headers[keys.find((key) => key.toLowerCase() === name)];
  if (value(':method') === 'CONNECT' || METADATA.test(String(value(':authority') || value('host') || ''))) return headers;
  const added = missing(lines, (name) => keys.some((key) => String(key).toLowerCase() === name));
  // By undici, above.
  if (!added.length && !lines.startsWith(`traceparent: ${value('traceparent')}\r\n`)) return headers;
  const out = inArray ? [...headers] : { __proto__: null, ...headers };
  for (const [name, content] of added) if (inArray) out.push(name, content); else out[name] = content;
  // Never in a table of the connection's, from which it would come again for another request.
  const before = (headers && headers[http2.sensitiveHeaders]) || [];
  out[http2.sensitiveHeaders] = [...before, nameOf(lines)];
  return out;
};

// grpc-js may open the stream of a call while it is at another one: the call says itself whose it is.
const flowOfFields = (headers) => {
  asksOthers = true;
  if (headers && Flow.has(headers)) return Flow.of(headers);
  if (!headers || !String(headers['user-agent']).includes('grpc-node-js')) return flow.getStore();
  lookForGrpc();
  return undefined;
};

const patchClientSession = (prototype) => {
  const { request } = prototype;
  let known = false;
  method(prototype, 'request', function (headers, options) {
    if (!flow) return request.call(this, headers, options);
    let lines;
    try {
      lines = flowOfFields(headers);
      if (lines !== undefined && areFields(headers)) headers = fieldsWith(headers, lines);
    } catch { /* it goes as it is */ }
    const stream = request.call(this, headers, options);
    if (!known) bindEvents(Object.getPrototypeOf(stream));
    known = true;
    Flow.set(stream, lines);
    return stream;
  });
};

const patchServerSession = (prototype) => {
  const above = Object.getPrototypeOf(prototype);
  let known = false;
  method(prototype, 'emit', function (...args) {
    if (args[0] !== 'stream') return above.emit.apply(this, args);
    let lines;
    try {
      const [, stream, headers] = args;
      if (!flow) begin();
      lookForDispatcher();
      asksOthers = true; // or may: this is not spared
      lines = ask(this.socket, stream.id, headers[':path']);
      if (!known) bindEvents(Object.getPrototypeOf(stream));
      known = true;
      Flow.set(stream, lines);
    } catch { /* then it has no flow */ }
    return flow.run(lines, apply, above.emit, this, args);
  });
};

// The classes have no names outside: one of each is made, which speaks to nobody. They are kept: what
// ends is shown to the program's PerformanceObserver.
const models = [];
const patchHttp2 = () => {
  http2 = require('http2');
  const { Duplex } = require('stream');
  const nobody = () => new Duplex({ read() {}, write(_chunk, _encoding, done) { done(); } });
  const keep = (session) => {
    session.on('error', () => {});
    session.unref();
    models.push(session);
    return Object.getPrototypeOf(session);
  };
  patchClientSession(keep(http2.connect('http://localhost', { createConnection: nobody })));
  const server = http2.createServer();
  server.on('session', (session) => patchServerSession(keep(session)));
  server.emit('connection', nobody());
};

// ---- grpc-js: what it does for a call it may do at another's time ----

const carry = (metadata, lines) => {
  const { clone, toHttp2Headers } = metadata;
  method(metadata, 'clone', function () { return carry(clone.call(this), lines); });
  method(metadata, 'toHttp2Headers', function () {
    const headers = toHttp2Headers.call(this);
    Flow.set(headers, lines);
    return headers;
  });
  return metadata;
};

const bindListener = (listener, lines) => {
  const bound = Object.create(listener);
  for (const name of ['onReceiveMetadata', 'onReceiveMessage', 'onReceiveStatus']) {
    bound[name] = (...args) => flow.run(lines, () => listener[name](...args));
  }
  return bound;
};

const callsPatched = new WeakSet();
const patchCalls = ({ ResolvingCall }) => {
  if (!ResolvingCall || callsPatched.has(ResolvingCall)) return;
  callsPatched.add(ResolvingCall);
  const { start } = ResolvingCall.prototype;
  method(ResolvingCall.prototype, 'start', function (metadata, listener) {
    const lines = flow && flow.getStore();
    if (!flow) return start.call(this, metadata, listener);
    return start.call(this, carry(metadata.clone(), lines), bindListener(listener, lines));
  });
};

const lookForGrpc = () => eachLoaded(/grpc-js[\\/]build[\\/]src[\\/]resolving-call\.js$/, patchCalls);

// ---- what the program has loaded: each is patched once ----

const { moduleLoadList } = process;
const toPatch = {
  http2() {
    patchHttp2();
    lookForGrpc();
  },
  tls: () => belongsToNone(require('tls').TLSSocket.prototype, '_wrapHandle'),
  worker_threads: () => belongsToNone(require('worker_threads').Worker.prototype, 'emit'),
};

const patchWhatIsThere = () => {
  for (const [name, patch] of Object.entries(toPatch)) {
    if (!moduleLoadList.includes(`NativeModule ${name}`)) continue;
    delete toPatch[name];
    patch();
  }
};

let listed = 0;
const look = () => {
  if (!Array.isArray(moduleLoadList) || moduleLoadList.length === listed) return;
  listed = moduleLoadList.length;
  try {
    if (flow) flow.run(undefined, patchWhatIsThere); else patchWhatIsThere();
  } catch { /* it is left alone */ }
};

channels.subscribe('net.server.socket', look);
channels.subscribe('http.server.request.start', onRequest);
})();
