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
const LATER = /\.packed$|\/ort[-.]/; // large: kept when a page has asked for them, which of them depends on its machine
const addressOf = (name: string) => new URL(name === "index.html" ? "./" : name, self.registration.scope).href;
const ours = new Set(FILES.map(addressOf));

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
  if (response.ok) event.waitUntil(cache.put(address, response.clone()));
  return guarded(response);
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
