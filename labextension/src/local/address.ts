/** Files at addresses: how they are named in a sentence, and small ones fetched whole. */

import { ServerError } from '../trouble';

/** Characters of a file's name in a sentence: the notifications of JupyterLab show 140. */
const LONGEST_NAME = 32;

/** An address relative to another one; empty where it is none. */
export function absolute(url: string, base: string): string {
  try {
    return new URL(url, base).href;
  } catch {
    return '';
  }
}

/** The name of the file at an address, shortened to what fits a sentence. */
export function fileName(url: string): string {
  const name = /[^/]*$/.exec(url.replace(/[?#].*$/, '').replace(/\/+$/, ''))?.[0] ?? '';
  const characters = Array.from(decoded(name));
  return characters.length > LONGEST_NAME
    ? `${characters.slice(0, LONGEST_NAME - 1).join('')}…`
    : characters.join('');
}

/** Whether what came is a page of HTML, such as a form to sign in. No model and no list begins so. */
export function isWebPage(beginning: string): boolean {
  return /^[\s\uFEFF]*</.test(beginning);
}

/** Say what to do about a file that comes with a status that is none of success, or without content. */
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

/** Whether a status says that there is no such file. */
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

/** Milliseconds after which a file counts as not fetched: a connection may hang without an error. */
const PATIENCE = 30_000;

/** Fetch a file; `absent` is the code of the error where there is none, or a web page in its place. */
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
  const response = await fetch(address, { cache, signal: AbortSignal.timeout(PATIENCE) }).catch(noConnection);
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
