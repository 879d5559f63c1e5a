/** SHA-256 of files: by the browser where it can, else by code that is loaded for it. */

/** The digest of a file in hexadecimal digits. */
export async function sha256(content: Blob): Promise<string> {
  const bytes = await content.arrayBuffer();
  // Browsers compute digests only in pages that came over HTTPS or from the same machine.
  const digest =
    typeof crypto.subtle === 'object'
      ? new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      : (await import('@noble/hashes/sha2.js')).sha256(new Uint8Array(bytes));
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
}
