/** SHA-256 of files: by the browser where it can, else by code that is loaded for it. */

import { pieces } from './files';

/** Bytes that may lie in the memory at once. */
const AT_ONCE = 64 * 1024 * 1024;

/** The digest of a file in hexadecimal digits. */
export async function sha256(content: Blob): Promise<string> {
  // Browsers compute digests only in pages that came over HTTPS or from the same machine, and of nothing by parts.
  const isSecure = typeof crypto.subtle === 'object';
  const digest =
    isSecure && content.size <= AT_ONCE
      ? new Uint8Array(await crypto.subtle.digest('SHA-256', await content.arrayBuffer()))
      : await byParts(content);
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
}

async function byParts(content: Blob): Promise<Uint8Array> {
  const { sha256: hash } = await import('@noble/hashes/sha2.js');
  const digest = hash.create();
  for await (const bytes of pieces(content)) {
    digest.update(bytes);
  }
  return digest.digest();
}
