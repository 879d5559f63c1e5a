/* Keeps the page's files, so that it works without a network. The model is kept by the page itself, by its digest. */
/* global self, caches, fetch, Request, URL, VERSION, FILES */

// Sites in other folders of this host have caches, too.
const OURS = `turbopilot ${self.registration.scope} `;
const CACHE = OURS + VERSION;

self.addEventListener('install', event => {
  const files = FILES.map(name => new Request(name, { cache: 'reload' }));
  // It waits until no page of the version before is open: such a page may still fetch a part of itself.
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(files)));
});

self.addEventListener('activate', event => {
  const drop = names =>
    Promise.all(
      names.filter(name => name.startsWith(OURS) && name !== CACHE).map(name => caches.delete(name))
    );
  event.waitUntil(
    caches
      .keys()
      .then(drop)
      .then(() => self.clients.claim())
  );
});

self.addEventListener('fetch', event => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(self.registration.scope)) {
    return;
  }
  const kept = () =>
    caches.open(CACHE).then(cache => cache.match(request, { ignoreSearch: true, ignoreVary: true }));
  const { pathname } = new URL(request.url);
  if (request.mode === 'navigate' || pathname.endsWith('/models.json')) {
    // These may be newer than what is kept, and are small.
    event.respondWith(
      fetch(request).catch(async () => (await kept()) ?? (await caches.match(self.registration.scope)))
    );
  } else if (!pathname.endsWith('.gguf')) {
    event.respondWith(kept().then(found => found ?? fetch(request)));
  }
});
