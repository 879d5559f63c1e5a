/** Small files, fetched whole: the list of models, the engine. */

import { ServerError } from '../trouble';
import { fileName, isAbsent, isWebPage, remedyFor, webPageInPlaceOf } from './address';

/** Milliseconds after which a file counts as not fetched: a connection may hang without an error. */
const LONGEST = 30_000;

/** Fetch a file; `absent` is the code of the error where there is none, or a web page in its place. */
export async function fetchWhole(
  address: string,
  absent: string,
  cache: RequestCache = 'default'
): Promise<ArrayBuffer> {
  const name = fileName(address);
  const failure = (code: string, message: string) => new ServerError(500, code, message);
  const noConnection = (): never => {
    throw failure('download_failed', `${name} cannot be fetched. Is there a connection?`);
  };
  const response = await fetch(address, { cache, signal: AbortSignal.timeout(LONGEST) }).catch(noConnection);
  if (!response.ok) {
    const { status } = response;
    const code = isAbsent(status) ? absent : 'download_failed';
    throw failure(code, `${name} cannot be fetched (${status}). ${remedyFor(status)}`);
  }
  const bytes = await response.arrayBuffer().catch(noConnection);
  if (isWebPage(new TextDecoder().decode(bytes.slice(0, 64)))) {
    throw failure(absent, webPageInPlaceOf(name));
  }
  return bytes;
}
