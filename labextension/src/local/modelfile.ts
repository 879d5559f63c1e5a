/** A model's file from the browser's storage or its URL, verified by its SHA-256. */

import { describeSize } from '../filesize';
import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import { fileName, isWebPage, remedyFor, webPageInPlaceOf } from './address';
import { MOST_BYTES } from './engine/gguf';
import type { IFiles } from './files';

/** The maximum number of stored files: sites of one origin share the storage. */
export const MAX_FILES = 24;
/** The idle timeout of a download in milliseconds. */
const STALLED = 60_000;

export interface ISource {
  /** The URL of the file. */
  url: string;
  sha256: string;
  /** Bytes. */
  size: number;
}

/** Return the file of a model; `step` is called with the progress. */
export async function modelFile(
  source: ISource,
  files: IFiles | null,
  step: (step: IProgress) => void,
  signal = new AbortController().signal
): Promise<Blob> {
  const kept = await files?.read(source.sha256);
  if (kept?.size === source.size && (await isIntact(kept, source))) {
    signal.throwIfAborted();
    return kept;
  }
  const content = await fetched(source, step, signal);
  step({ phase: 'verifying' });
  if (!(await isIntact(content, source))) {
    throw unexpected(source.url, 'wrong checksum');
  }
  signal.throwIfAborted(); // before it is stored
  if (files) {
    // The model can be used without being stored: another tab or the user may delete the folder meanwhile.
    await keep(source.sha256, content, files).catch(() => undefined);
  }
  signal.throwIfAborted();
  return content;
}

/** Store a file, replacing the oldest, or all others if the browser has no space. */
async function keep(name: string, content: Blob, files: IFiles): Promise<void> {
  await evict(files, MAX_FILES - 1);
  if ((await files.write(name, content)) === 'full') {
    await evict(files, 0);
    await files.write(name, content);
  }
}

/** Delete the oldest files, except `kept`. */
export async function evict(files: IFiles, kept: number): Promise<void> {
  const names = await files.names();
  for (const name of names.slice(0, Math.max(0, names.length - kept))) {
    await files.remove(name);
  }
}

/** The SHA-256 of a file in hexadecimal digits. */
export async function sha256(content: Blob): Promise<string> {
  const bytes = await content.arrayBuffer();
  // Browsers compute digests only in pages that came over HTTPS or from the same machine.
  const digest =
    typeof crypto.subtle === 'object'
      ? new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      : (await import('@noble/hashes/sha2.js')).sha256(new Uint8Array(bytes));
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
}

/** Return whether a file matches its digest; false if it cannot be read. */
async function isIntact(content: Blob, source: ISource): Promise<boolean> {
  try {
    return (await sha256(content)) === source.sha256;
  } catch {
    return false;
  }
}

async function fetched(
  { url, size }: ISource,
  step: (step: IProgress) => void,
  signal: AbortSignal
): Promise<Blob> {
  const name = fileName(url);
  if (size > MOST_BYTES) {
    throw failure(`${name} has ${describeSize(size)}, which exceeds the limit of the browser engine.`);
  }
  const stop = new AbortController();
  const combined = AbortSignal.any([signal, stop.signal]);
  const withoutStall = <T>(transfer: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => stop.abort(), STALLED);
    return transfer.finally(() => clearTimeout(timer));
  };
  signal.throwIfAborted();
  // Bypass the HTTP cache: it may have an older file, and the file is stored here anyway.
  const response = await withoutStall(fetch(url, { cache: 'no-store', signal: combined })).catch(
    (reason: unknown) => {
      throw signal.aborted
        ? reason
        : failure(`${name} could not be downloaded from ${hostOf(url)}. Check your network connection.`);
    }
  );
  if (!response.ok || !response.body) {
    throw failure(`${name} could not be downloaded (${response.status}). ${remedyFor(response.status)}`);
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body.getReader();
  let received = 0;
  for (;;) {
    const { done, value } = await withoutStall(reader.read()).catch((reason: unknown) => {
      throw signal.aborted ? reason : failure('Connection lost. Try again.');
    });
    if (done) {
      break;
    }
    if (received === 0 && isWebPage(new TextDecoder().decode(value.subarray(0, 64)))) {
      await reader.cancel();
      throw failure(webPageInPlaceOf(name));
    }
    if (received + value.length > size) {
      await reader.cancel();
      throw unexpected(url, 'too large');
    }
    parts.push(value);
    received += value.length;
    step({ phase: 'downloading', received, total: size, source: hostOf(url) });
  }
  if (received < size) {
    throw unexpected(url, 'too short');
  }
  return new Blob(parts);
}

function hostOf(url: string): string {
  return new URL(url, location.href).host;
}

/** The file does not match its entry in the list of models. */
function unexpected(url: string, how: string): ServerError {
  return failure(`${fileName(url)} is not the expected file (${how}). Report this to the owner of the site.`);
}

function failure(message: string): ServerError {
  return new ServerError(500, 'download_failed', message);
}
