/* Keeps the page for the next visit and for when there is no network, and adds the headers that a static host can't.

Answers come from the cache first; names of assets carry their hash, and this file changes with every build, so a new
version takes over on the visit after the one that found it. */
declare const self: ServiceWorkerGlobalScope;
/** Written in front of this file by build.py: every file of the page with its hash, and the page's own policy */
declare const FILES: Record<string, string>;
declare const POLICY: string;

const CACHE = `fer ${self.registration.scope}`;
const LATER = /\.packed$|\/ort[-.]/; // large: kept when a page has asked for them, which of them depends on its machine
const addressOf = (name: string) => new URL(name === "index.html" ? "./" : name, self.registration.scope).href;
const ours = new Set(Object.keys(FILES).map(addressOf));

self.addEventListener("install", (event) => {
  const early = Object.keys(FILES).filter((name) => !LATER.test(name)).map(addressOf);
  const fresh = early.map((address) => new Request(address, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

async function forgetOthers() {
  const cache = await caches.open(CACHE);
  const old = (await cache.keys()).filter(({ url }) => !ours.has(url));
  await Promise.all(old.map((request) => cache.delete(request)));
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.replace(/[?#].*$/, "").replace(/\/index\.html$/, "/");
  if (request.method === "GET" && ours.has(address)) event.respondWith(answer(event, address));
});

async function answer(event: FetchEvent, address: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address);
  if (kept) return guarded(kept);
  const response = await fetch(address);
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
