/* Is what the page has loaded kept for a visit without a network? */

const addressOf = (path: string) => new URL(path, document.baseURI).href;

export async function isKept(paths: string[]): Promise<boolean> {
  try {
    const found = await Promise.all(paths.map((path) => caches.match(addressOf(path))));
    return found.every(Boolean);
  } catch {
    return false; // a browser, a window or an address without caches
  }
}

/**
 * Has the service worker keep what it came too late for, else a later build would take these files from a page that is
 * kept itself. Is everything kept then? No answer at all where no worker could be installed.
 */
export async function keep(paths: string[]): Promise<boolean> {
  if (!navigator.serviceWorker) return false;
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  await new Promise((resolve) => {
    port1.onmessage = resolve;
    active!.postMessage(paths.map(addressOf), [port2]);
  });
  return isKept(paths);
}
