/** A model's file: from what the browser keeps, or from its address, checked by its digest either way. */

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { ServerError } from '../trouble';
import type { IStep } from '../wire';
import { MOST_BYTES } from './engine/gguf';
import type { IFiles } from './files';

/** How many files are kept: sites of one origin share the room, each with a model for every language. */
export const MOST = 24;

export interface ISource {
  /** Where the file is. */
  url: string;
  sha256: string;
  /** Bytes. */
  size: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Return the bytes of a model; `step` hears how far it is. */
export async function modelFile(
  source: ISource,
  files: IFiles | null,
  step: (step: IStep) => void,
  signal?: AbortSignal
): Promise<Bytes> {
  const kept = await files?.read(source.sha256);
  if (kept && digestOf(kept) === source.sha256) {
    return kept;
  }
  const bytes = await fetched(source, step, signal);
  step({ phase: 'verifying' });
  if (digestOf(bytes) !== source.sha256) {
    throw failure(`The file at ${source.url} is not the model that was expected. Reload the page.`);
  }
  if (files) {
    await keep(source.sha256, bytes, files);
  }
  return bytes;
}

/** Keep a file in the place of the oldest, or of all others where the browser has no more room. */
async function keep(name: string, bytes: Bytes, files: IFiles): Promise<void> {
  await evict(files, MOST - 1);
  if (!(await files.write(name, bytes))) {
    await evict(files, 0);
    await files.write(name, bytes);
  }
}

/** Delete the oldest files, but for so many. */
export async function evict(files: IFiles, kept: number): Promise<void> {
  const names = await files.names();
  for (const name of names.slice(0, Math.max(0, names.length - kept))) {
    await files.remove(name);
  }
}

function digestOf(bytes: Bytes): string {
  return bytesToHex(sha256(bytes));
}

async function fetched(
  { url, size }: ISource,
  step: (step: IStep) => void,
  signal?: AbortSignal
): Promise<Bytes> {
  if (size > MOST_BYTES) {
    throw failure(
      `The model at ${url} has ${Math.round(size / 1e6)} MB, which is too large for the browser.`
    );
  }
  // Not from the browser's own cache: the file may be an older one of that name, and it is kept here anyway.
  const response = await fetch(url, { cache: 'no-store', ...(signal ? { signal } : {}) }).catch(
    (reason: unknown) => {
      throw signal?.aborted
        ? reason
        : failure(`The model cannot be fetched from ${url}. Is there a connection?`);
    }
  );
  if (!response.ok || !response.body) {
    throw failure(`The model cannot be fetched from ${url} (${response.status}).`);
  }
  const bytes = new Uint8Array(size);
  const reader = response.body.getReader();
  let received = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((reason: unknown) => {
      throw signal?.aborted ? reason : failure('The connection ended before the model was there. Try again.');
    });
    if (done) {
      break;
    }
    if (received + value.length > size) {
      await reader.cancel();
      throw failure(`The file at ${url} is larger than the model that was expected. Reload the page.`);
    }
    bytes.set(value, received);
    received += value.length;
    step({ phase: 'fetching', received, total: size, source: new URL(url, location.href).host });
  }
  if (received < size) {
    throw failure(`The file at ${url} is shorter than the model that was expected. Reload the page.`);
  }
  return bytes;
}

function failure(message: string): ServerError {
  return new ServerError(500, 'download_failed', message);
}
