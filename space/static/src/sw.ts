/* Keeps the page for the next visit and for when there is no network, and adds the headers that a static host can't.

Answers come from the cache first. A new build has a cache of its own, filled beside the old one, and takes over when
the last tab with the old page is closed: no page ever mixes the files of two builds. */
declare const self: ServiceWorkerGlobalScope;
/** Written in front of this file by build.py: the page's files, a hash over all of them, and the page's own policy */
declare const FILES: string[];
declare const VERSION: string;
declare const POLICY: string;

const FAMILY = `fer ${self.registration.scope} `;
const CACHE = FAMILY + VERSION;
const LATER = /\.packed$/; // large: kept when a page has asked for them, which of them depends on its machine
const addressOf = (name: string) => new URL(name === "index.html" ? "./" : name, self.registration.scope).href;
const ours = new Set(FILES.map(addressOf));
const writing = new Map<string, Promise<void>>(); // what is on its way into the cache

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function install() {
  const cache = await caches.open(CACHE);
  const early = FILES.filter((name) => !LATER.test(name)).map(addressOf);
  await cache.addAll(early.map((address) => new Request(address, { cache: "no-cache" })));
  if (!self.registration.active) await self.skipWaiting(); // on the first visit nobody has to be waited for
}

/** Large files that are in this build too move over from the old caches, which go */
async function takeOver() {
  const cache = await caches.open(CACHE);
  for (const name of await caches.keys()) {
    if (!name.startsWith(FAMILY) || name === CACHE) continue;
    const old = await caches.open(name);
    for (const request of await old.keys()) {
      if (LATER.test(request.url) && ours.has(request.url)) await cache.put(request, (await old.match(request))!);
    }
    await caches.delete(name);
  }
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.replace(/[?#].*$/, "").replace(/\/index\.html$/, "/");
  if (request.method === "GET" && ours.has(address)) event.respondWith(answer(event, address));
});

async function answer(event: FetchEvent, address: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  const again = event.request.cache === "reload"; // runtime.ts: what was kept is damaged
  const kept = again ? undefined : await cache.match(address);
  if (kept) return guarded(kept);
  const response = await fetch(address, { cache: again ? "reload" : "default" });
  if (response.ok) event.waitUntil(write(cache, address, response.clone()));
  return guarded(response);
}

function write(cache: Cache, address: string, response: Response): Promise<void> {
  const written = cache.put(address, response).finally(() => writing.delete(address));
  writing.set(address, written);
  return written;
}

/** A page names what it has used (kept.ts), some of it perhaps before this worker answered for it */
self.addEventListener("message", (event) => event.waitUntil(keep(event.data, event.ports[0])));

async function keep(addresses: string[], asker: MessagePort) {
  const cache = await caches.open(CACHE);
  await Promise.allSettled(addresses.filter((address) => ours.has(address)).map((address) => complete(cache, address)));
  asker.postMessage("done"); // the page looks for itself
}

/** The browser's own cache mostly has the file still */
async function complete(cache: Cache, address: string) {
  await writing.get(address);
  if (await cache.match(address)) return;
  const response = await fetch(address);
  if (response.ok) await write(cache, address, response);
}

/** Isolated from other origins (threads need that), and the page's policy for its workers too */
function guarded(response: Response): Response {
  if (!response.ok) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Content-Security-Policy", POLICY);
  return new Response(response.body, { status: response.status, headers });
}

export {};
