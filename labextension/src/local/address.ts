/** URLs of files: their names in messages, and downloads of small files. */

import { ServerError } from '../requesterror';

/** Characters of a file name in a message: JupyterLab's notifications show 140. */
const MAX_NAME_LENGTH = 32;

/** Resolve a URL; empty if it is invalid. */
export function absolute(url: string, base: string): string {
  try {
    return new URL(url, base).href;
  } catch {
    return '';
  }
}

/** Return the file name of a URL, shortened for a message. */
export function fileName(url: string): string {
  const name = url.split(/[?#]/, 1)[0].split('/').filter(Boolean).pop() ?? '';
  const characters = Array.from(decoded(name));
  return characters.length > MAX_NAME_LENGTH
    ? `${characters.slice(0, MAX_NAME_LENGTH - 1).join('')}…`
    : characters.join('');
}

/** Return whether a file is an HTML page, such as a login form. */
export function isWebPage(beginning: string): boolean {
  return /^[\s\uFEFF]*</.test(beginning);
}

/** Return what to do about a response with an error status or without content. */
export function remedyFor(status: number): string {
  if (status < 300) {
    return 'The file is empty. Report this to the owner of the site.';
  }
  if (isAbsent(status)) {
    return 'The file is missing. Report this to the owner of the site.';
  }
  return status >= 500 || status === 408 || status === 429
    ? 'Try again later, or reload the page.'
    : 'Log in if required, or report this to the owner of the site.';
}

/** Return whether a status means that the file does not exist. */
function isAbsent(status: number): boolean {
  return status === 404 || status === 410;
}

export function webPageInPlaceOf(name: string): string {
  return `Received a web page instead of ${name}. Log in if required, or report this to the owner of the site.`;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The timeout of a download in milliseconds. */
const TIMEOUT = 30_000;

/** Download a file; `absent` is the error code if it does not exist or is a web page. */
export async function fetchWhole(
  address: string,
  absent: string,
  cache: RequestCache = 'default'
): Promise<ArrayBuffer> {
  const name = fileName(address);
  const failure = (code: string, message: string) => new ServerError(500, code, message);
  const noConnection = (): never => {
    throw failure('download_failed', `${name} could not be downloaded. Check your network connection.`);
  };
  const response = await fetch(address, { cache, signal: AbortSignal.timeout(TIMEOUT) }).catch(noConnection);
  if (!response.ok) {
    const { status } = response;
    const code = isAbsent(status) ? absent : 'download_failed';
    throw failure(code, `${name} could not be downloaded (${status}). ${remedyFor(status)}`);
  }
  const bytes = await response.arrayBuffer().catch(noConnection);
  if (isWebPage(new TextDecoder().decode(bytes.slice(0, 64)))) {
    throw failure(absent, webPageInPlaceOf(name));
  }
  return bytes;
}
